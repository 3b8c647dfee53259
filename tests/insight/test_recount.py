from datetime import timedelta
from uuid import uuid4

import pytest

from tests.fixtures import T0
from webapp.db import db, transaction
from webapp.deliveries import ledger
from webapp.deliveries.models import Chunk, Link, Message
from webapp.errors import Conflict
from webapp.insight.recount import WORDS, recount
from webapp.tracking import ingest
from webapp.tracking.hits import Raw
from webapp.tracking.models import Reaction

SAFARI = "Mozilla/5.0 (iPhone) Safari/605.1.15"


def fold(delivery, *what):
    with transaction():
        ingest.fold(
            [
                Raw(kind, delivery.id, seq, link_no, T0 + timedelta(seconds=after), SAFARI, "", "GET")
                for kind, seq, link_no, after in what
            ]
        )


def again(delivery):
    with transaction():
        return {found.name: (found.was, found.now) for found in recount(delivery.id, at=T0)}


@pytest.fixture
def busy(make_sent):
    delivery = make_sent(size=10)
    fold(delivery, ("open", 0, None, 60), ("open", 1, None, 61), ("click", 1, 1, 130), ("unsubscribe", 2, None, 200))
    return delivery


def test_right_figures_are_left_alone(busy):
    assert again(busy) == {}


@pytest.mark.parametrize("tracking", ["full", "aggregate"])
def test_every_tampered_figure_is_found_told_and_corrected(make_sent, tracking):
    delivery = make_sent(size=10, tracking=tracking)
    fold(delivery, ("open", 0, None, 60), ("click", 1, 1, 130), ("unsubscribe", 2, None, 200))
    right = ledger.read(delivery.id)
    with transaction():
        db.session.execute(
            db.text("UPDATE counter SET sent = 4, failed = 6, opened = 9, clicked_human = 0, unsubscribed = 7")
        )
        db.session.execute(db.text("UPDATE link SET clicks = 99 WHERE no = 1"))
        db.session.execute(db.text("UPDATE tick SET opened = 5 WHERE opened > 0"))
    found = again(delivery)
    assert found["sent"] == (4, 10)
    assert found["failed"] == (6, 0)
    assert found["unsubscribed"] == (7, 1)
    assert {"opened", "clicked_human", "links", "ticks"} <= found.keys()
    assert found.keys() <= WORDS.keys()
    assert ledger.read(delivery.id) == right
    assert again(delivery) == {}
    assert db.session.query(Link).filter_by(no=1).one().clicks == 1


def test_a_reaction_that_does_not_match_its_hits_is_mended(busy):
    with transaction():
        db.session.execute(db.text("DELETE FROM reaction WHERE seq = 1"))
        db.session.execute(
            db.text("INSERT INTO reaction (delivery_id, seq, opened_at) VALUES (:id, 8, :at)"),
            {"id": busy.id, "at": T0},
        )
    assert again(busy)["reactions"] == (2, 0)
    told = {row.seq: row.contact_id for row in db.session.query(Message).filter(Message.seq < 3)}
    assert {row.seq: row.contact_id for row in db.session.query(Reaction)} == told


def test_messages_that_a_worker_holds_are_counted_as_being_sent(make_sent):
    delivery = make_sent(size=10)
    with transaction():
        db.session.execute(db.text("UPDATE message SET status = 0 WHERE seq < 6"))
        db.session.execute(db.text("UPDATE message SET status = 4 WHERE seq = 9"))
        db.session.add_all(
            [
                Chunk(delivery_id=delivery.id, no=0, first_seq=0, last_seq=2, lease_token=uuid4(), lease_until=T0),
                Chunk(delivery_id=delivery.id, no=1, first_seq=3, last_seq=5),
                Chunk(
                    delivery_id=delivery.id,
                    no=2,
                    first_seq=9,
                    last_seq=9,
                    seqs=[9],
                    retrying=True,
                    lease_token=uuid4(),
                    lease_until=T0,
                ),
            ]
        )
    again(delivery)
    found = ledger.read(delivery.id)
    assert (found.waiting, found.sending, found.retrying, found.sent) == (3, 4, 0, 3)
    assert found.difference == 0


def test_a_delivery_that_was_never_prepared_has_nothing_to_count(make_delivery):
    delivery = make_delivery()
    with pytest.raises(Conflict), transaction():
        recount(delivery.id, at=T0)
