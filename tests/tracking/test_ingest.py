from datetime import timedelta

import pytest

from tests.fixtures import T0
from webapp.db import db, transaction
from webapp.deliveries import ledger
from webapp.deliveries.models import Link, Message, Tick
from webapp.tracking import hits, ingest
from webapp.tracking.hits import Raw
from webapp.tracking.models import Hit, HitInbox, Reaction

SAFARI = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15"


def hit(delivery, kind="open", *, seq=0, link_no=None, after=60.0, agent=SAFARI, method="GET"):
    return Raw(kind, delivery.id, seq, link_no, T0 + timedelta(seconds=after), agent, "192.0.2.1", method)


def fold(*raws):
    with transaction():
        ingest.fold(raws)


def figures(delivery):
    found = ledger.read(delivery.id)
    return found.opened, found.opened_human, found.clicked, found.clicked_human


def test_the_second_opening_is_kept_and_not_counted_again(make_sent):
    delivery = make_sent()
    fold(hit(delivery), hit(delivery, after=70))
    fold(hit(delivery, after=80), hit(delivery, seq=1))
    assert figures(delivery) == (2, 2, 0, 0)
    assert db.session.query(Hit).count() == 4
    told = {row.seq: row.contact_id for row in db.session.query(Message).filter(Message.seq < 2)}
    assert {row.seq: row.contact_id for row in db.session.query(Reaction)} == told


def test_a_click_implies_an_open(make_sent):
    delivery = make_sent()
    fold(hit(delivery, "click", link_no=2))
    assert figures(delivery) == (1, 1, 1, 1)


def test_machines_are_counted_beside_people(make_sent):
    delivery = make_sent()
    fold(hit(delivery, agent="Mozilla/5.0"), hit(delivery, "click", seq=1, link_no=1, method="HEAD"))
    assert figures(delivery) == (2, 0, 1, 0)
    fold(hit(delivery, after=90))
    assert figures(delivery) == (2, 1, 1, 0)


def test_a_burst_changes_what_was_counted_before_it_showed(make_sent):
    delivery = make_sent()
    fold(hit(delivery, "click", link_no=1, after=60), hit(delivery, "click", seq=1, link_no=1))
    assert figures(delivery) == (2, 2, 2, 2)
    fold(hit(delivery, "click", link_no=2, after=61))
    assert figures(delivery) == (2, 2, 2, 2)
    fold(hit(delivery, "click", link_no=3, after=62))
    assert figures(delivery) == (2, 1, 2, 1)
    assert {(row.seq, row.rule) for row in db.session.query(Hit)} == {(0, "burst"), (1, "")}
    links = {link.no: (link.clicks, link.clicked) for link in db.session.query(Link)}
    assert links == {1: (2, 1), 2: (1, 0), 3: (1, 0), 4: (0, 0)}
    reaction = db.session.query(Reaction).filter_by(seq=0).one()
    assert reaction.clicked_at is not None
    assert reaction.clicked_human_at is None


def test_a_person_who_came_before_the_scanner_stays_counted(make_sent):
    delivery = make_sent()
    fold(hit(delivery, after=30), *(hit(delivery, "click", link_no=n, after=100 + n) for n in (1, 2, 3)))
    assert figures(delivery) == (1, 1, 1, 0)


def test_links_count_every_click_and_each_person_once(make_sent):
    delivery = make_sent()
    fold(hit(delivery, "click", link_no=1), hit(delivery, "click", link_no=1, after=100))
    fold(hit(delivery, "click", link_no=1, after=200), hit(delivery, "click", seq=3, link_no=1))
    assert [(link.clicks, link.clicked) for link in db.session.query(Link).filter_by(no=1)] == [(4, 2)]


def test_hits_that_come_late_count_in_the_tick_they_happened(make_sent):
    delivery = make_sent()
    fold(hit(delivery, after=600))
    fold(hit(delivery, after=60))
    counted = {row.since: row.opened for row in db.session.query(Tick).filter(Tick.opened != 0)}
    assert counted == {T0 + timedelta(minutes=1): 1}


def test_aggregate_counts_hits_and_keeps_nobodys_name(make_sent):
    delivery = make_sent(tracking="aggregate")
    fold(hit(delivery), hit(delivery, after=70), hit(delivery, "click", link_no=1))
    assert figures(delivery) == (2, 2, 1, 1)
    assert db.session.query(Reaction).count() == 0
    kept = {(row.seq, row.contact_id, row.agent, row.address) for row in db.session.query(Hit)}
    assert kept == {(None, None, "", "")}


def test_a_delivery_without_tracking_counts_unsubscriptions_only(make_sent):
    delivery = make_sent(tracking="none")
    fold(hit(delivery), hit(delivery, "unsubscribe"))
    assert figures(delivery) == (0, 0, 0, 0)
    assert ledger.read(delivery.id).unsubscribed == 1


def test_hits_of_nobody_are_dropped_and_do_not_stop_the_others(make_sent):
    delivery = make_sent()
    fold(hit(delivery, seq=999_999), Raw("open", 987_654, 0, None, T0, "", "", "GET"), hit(delivery))
    assert figures(delivery) == (1, 1, 0, 0)


def test_of_two_processes_only_one_folds_a_part_of_the_stream(make_sent):
    delivery = make_sent()
    with transaction():
        ingest.advance("5-0", after=ingest.position())
        ingest.fold([hit(delivery)])
    with pytest.raises(ingest.LostRaceError), transaction():
        ingest.advance("6-0", after="0-0")
    assert ingest.position() == "5-0"


def test_what_waits_in_the_inbox_is_folded_in_once(make_sent):
    delivery = make_sent()
    with transaction():
        hits.keep_with(hit(delivery, "unsubscribe"))
        hits.keep_with(hit(delivery))
    for _ in range(2):
        with transaction():
            ingest.fold_inbox(limit=10)
    assert (ledger.read(delivery.id).unsubscribed, ledger.read(delivery.id).opened) == (1, 1)
    assert db.session.query(HitInbox).count() == 0


def test_a_hit_that_came_by_two_ways_because_redis_was_slow_counts_once(make_sent):
    delivery = make_sent()
    slow = hit(delivery, "click", link_no=1)
    with transaction():
        hits.keep_with(slow)
        hits.keep_with(slow)
    with transaction():
        ingest.fold_inbox(limit=10)
    fold(slow, hit(delivery, "click", link_no=1, after=60.001))
    assert db.session.query(Hit).count() == 2
    assert db.session.query(Link).filter_by(no=1).one().clicks == 2
