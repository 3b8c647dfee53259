from datetime import timedelta

import pytest
from sqlalchemy import text

from tests.fixtures import T0
from tests.insight.test_overview import words
from webapp import clock
from webapp.db import db, transaction
from webapp.deliveries import ledger, quiet
from webapp.mail import warmup
from webapp.mail.models import Relay, SenderPlan
from webapp.sending import slowing


def put_back(delivery, domain, *, seqs):
    db.session.execute(
        text("""
            INSERT INTO chunk (delivery_id, no, first_seq, last_seq, seqs, not_before, domain)
            VALUES (:delivery, 1000, 0, 9, :seqs, :until, :domain)
        """),
        {"delivery": delivery.id, "seqs": seqs, "until": T0, "domain": domain},
    )


def under_way(make_sent, **columns):
    """Two of ten messages are sent, in ten seconds."""
    delivery = make_sent(state="sending", **columns)
    with transaction():
        ledger.shift(delivery.id, at=T0, waiting=8, sent=-8)
    return delivery


def a_relay():
    relay = Relay(name="Own server", host="h", port=1, created_at=T0, is_default=True)
    db.session.add(relay)
    db.session.flush()
    return relay


def test_domains_that_take_their_time_are_shown_with_how_many_wait_and_why(as_role, make_sent):
    delivery = make_sent(state="sending")
    with transaction():
        relay = a_relay()
        put_back(delivery, "gmail.com", seqs=[1, 2, 3, 4])
        put_back(delivery, "free.fr", seqs=[5])
        slowing.slow(relay.id, domain="gmail.com", limit=1200, said="421 4.7.28 <slow> down", at=clock.now())
        slowing.slow(relay.id, domain="elsewhere.example", limit=None, said="421", at=T0 - timedelta(days=1))
    page = words(as_role("Manager").get(f"/deliveries/{delivery.id}"))
    assert "Domains that take their time" in page
    assert "Gmail4600It asked for less: 421 4.7.28 <slow> down" in page
    assert "Free160Its limit" in page
    assert "elsewhere.example" not in page


def test_a_delivery_that_waits_for_tomorrow_says_so(as_role, make_sent):
    delivery = under_way(make_sent, waits_until=clock.now() + timedelta(hours=5))
    page = words(as_role("Manager").get(f"/deliveries/{delivery.id}"))
    assert "Waits until" in page
    assert "The messages of today have gone out" in page
    assert "done at about" in page
    assert "Domains that take their time" not in page


def test_why_a_new_sender_takes_days_is_told_with_what_is_used_and_when_it_is_done(as_role, make_sent):
    delivery, at = under_way(make_sent), clock.now()
    with transaction():
        ledger.shift(delivery.id, at=at, waiting=-1, sent=1)
        sender = SenderPlan(domain="fjellheim.example", plan=[3, 5])
        relay = a_relay()
        relay.plan = [9]
        db.session.add(sender)
        db.session.flush()
        warmup.grant(warmup.limited([sender], at=at), wanted=2, at=at)
    page = words(as_role("Manager").get(f"/deliveries/{delivery.id}"))
    assert "It goes out over 3 days" in page
    assert "The sending domain fjellheim.example is being warmed up: 2 of its 3 messages of today are used." in page
    assert "The relay “Own server” is being warmed up: 0 of its 9 messages of today are used." in page
    assert "The last messages leave at about" in page


def test_a_delivery_that_quiet_hours_keep_back_counts_them_into_the_time_left(as_role, make_sent, make_user):
    delivery = under_way(make_sent)
    now = clock.now()
    begins, ends = ((now + timedelta(minutes=minutes)).time().replace(microsecond=0) for minutes in (-30, 30))
    quiet.keep(begins=begins, ends=ends, timezone="UTC", by=make_user("Administrator", email="night@example.com"))
    page = words(as_role("Manager").get(f"/deliveries/{delivery.id}"))
    assert "Quiet hours: goes on" in page
    assert "done at about" in page


@pytest.mark.parametrize(
    ("more", "todo"),
    [
        ({}, "enter user name and password of the relay again"),
        ({"by_token": 1}, "enter anew what the provider gave"),
    ],
)
def test_a_pause_says_what_to_do(as_role, make_sent, more, todo):
    delivery = make_sent(state="paused", state_reason="relay_login", state_params={"text": "535", **more})
    page = words(as_role("Manager").get(f"/deliveries/{delivery.id}"))
    assert "The relay refuses the login" in page
    assert todo in page
