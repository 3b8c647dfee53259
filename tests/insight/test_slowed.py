from datetime import timedelta

from sqlalchemy import text

from tests.fixtures import T0
from tests.insight.test_overview import words
from webapp import clock
from webapp.db import db, transaction
from webapp.deliveries import quiet
from webapp.mail.models import Relay
from webapp.sending import slowing


def put_back(delivery, domain, *, seqs):
    db.session.execute(
        text("""
            INSERT INTO chunk (delivery_id, no, first_seq, last_seq, seqs, not_before, domain)
            VALUES (:delivery, 1000, 0, 9, :seqs, :until, :domain)
        """),
        {"delivery": delivery.id, "seqs": seqs, "until": T0, "domain": domain},
    )


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
    delivery = make_sent(state="sending", waits_until=clock.now() + timedelta(hours=5))
    page = words(as_role("Manager").get(f"/deliveries/{delivery.id}"))
    assert "Waits until" in page
    assert "has had its messages of today" in page
    assert "left, while it waits" in page
    assert "done at about" not in page
    assert "Domains that take their time" not in page


def test_a_delivery_that_quiet_hours_keep_back_tells_no_time_left(as_role, make_sent, make_user):
    delivery = make_sent(state="sending")
    now = clock.now()
    begins, ends = ((now + timedelta(minutes=minutes)).time().replace(microsecond=0) for minutes in (-30, 30))
    quiet.keep(begins=begins, ends=ends, timezone="UTC", by=make_user("Administrator", email="night@example.com"))
    page = words(as_role("Manager").get(f"/deliveries/{delivery.id}"))
    assert "Quiet hours: goes on at" in page
    assert "left, while it waits" in page
    assert "done at about" not in page


def test_a_pause_says_what_to_do(as_role, make_sent):
    delivery = make_sent(state="paused", state_reason="relay_login", state_params={"text": "535"})
    page = words(as_role("Manager").get(f"/deliveries/{delivery.id}"))
    assert "The relay refuses the login" in page
    assert "enter user name and password of the relay again" in page
