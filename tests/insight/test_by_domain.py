from datetime import timedelta

import pytest
from sqlalchemy import text

from tests.fixtures import T0
from tests.insight.test_overview import words
from webapp import clock
from webapp.db import db, transaction
from webapp.deliveries.models import Delivery
from webapp.insight import by_domain
from webapp.insight.by_domain import Rounds
from webapp.insight.models import DeliveryDomain


@pytest.fixture
def sending(make_sent):
    """A delivery that is being sent; its messages go to three domains, in every state."""
    delivery = make_sent(state="sending")
    with transaction():
        db.session.execute(
            text("""
                UPDATE message SET email = 'p' || seq || '@' || (ARRAY['Large.example', 'large.example', 'small.example'])[seq % 3 + 1]
                WHERE delivery_id = :id
            """),
            {"id": delivery.id},
        )
        db.session.get(Delivery, delivery.id).started_at = T0
    return delivery


def counted(delivery, *, at=T0):
    with transaction():
        by_domain.count(delivery.id, at=at)
        return by_domain.domains(db.session.get(Delivery, delivery.id))


def test_every_message_is_in_one_figure_and_the_largest_domain_comes_first(sending):
    found = counted(sending)
    assert [one.domain for one in found] == ["large.example", "small.example"]
    with transaction():
        figures = dict(
            db.session.execute(
                text("SELECT status, count(*) FROM message WHERE delivery_id = :id GROUP BY 1"), {"id": sending.id}
            ).all()
        )
        total = sum(figures.values())
    assert sum(one.to_deliver for one in found) == total
    for name, status in (("sent", 2), ("failed", 3), ("retrying", 4), ("waiting", 0)):
        assert sum(getattr(one, name) for one in found) == figures.get(status, 0), name


def test_many_domains_are_told_as_the_largest_and_all_others(sending):
    with transaction():
        db.session.execute(
            text("UPDATE message SET email = 'p@d' || seq || '.example' WHERE delivery_id = :id"), {"id": sending.id}
        )
    found = counted(sending)
    assert len(found) == by_domain.LARGEST + 1
    assert found[-1].domain is None
    assert found[-1].to_deliver > 1


def test_it_says_when_messages_that_were_put_off_go_again(sending, as_role):
    until = clock.now() + timedelta(minutes=7)
    with transaction():
        db.session.execute(
            text("""
                INSERT INTO chunk (delivery_id, no, first_seq, last_seq, seqs, not_before, domain)
                VALUES (:id, 1000, 0, 9, ARRAY[2, 5], :until, 'small.example')
            """),
            {"id": sending.id, "until": until},
        )
    found = {one.domain: one.next_at for one in counted(sending, at=clock.now())}
    assert found == {"large.example": None, "small.example": until}
    page = words(as_role("Manager").get(f"/deliveries/{sending.id}"))
    assert "Largest domains" in page
    assert "small.example" in page


def test_it_is_counted_now_and_then_and_the_more_seldom_the_longer_it_takes(sending, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(by_domain.time, "monotonic", lambda: now[0])
    rounds = Rounds()
    assert by_domain.refresh(rounds, at=T0) == 1
    assert by_domain.refresh(rounds, at=T0) == 0
    now[0] += by_domain.EVERY
    assert by_domain.refresh(rounds, at=T0) == 1
    rounds.took(sending.id, 2.0)
    now[0] += 59
    assert by_domain.refresh(rounds, at=T0) == 0
    now[0] += 1
    assert by_domain.refresh(rounds, at=T0) == 1


def test_what_is_over_is_neither_counted_nor_shown(sending):
    rounds = Rounds()
    assert by_domain.refresh(rounds, at=T0) == 1
    with transaction():
        db.session.get(Delivery, sending.id).state = "finished"
    assert by_domain.refresh(rounds, at=T0) == 0
    assert rounds.due == {}
    with transaction():
        assert by_domain.domains(db.session.get(Delivery, sending.id)) == []
        assert db.session.query(DeliveryDomain).count() > 0
