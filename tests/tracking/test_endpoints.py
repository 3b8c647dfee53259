import json
from datetime import timedelta

import pytest

from tests.fixtures import T0
from webapp import broker
from webapp.audience.models import Subscription, Suppression
from webapp.db import db, transaction
from webapp.deliveries import ledger
from webapp.mail.tokens import Purpose
from webapp.tracking import hits, ingest, targets
from webapp.tracking.models import Hit, HitInbox
from webapp.tracking.views import signer

READER = {"User-Agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15"}


@pytest.fixture(autouse=True)
def fresh(database):
    targets.forget()
    hits._away_until[0] = 0.0


def token(purpose, delivery, seq=0):
    return signer().sign(purpose, delivery.id, seq)


def streamed():
    return [raw for _, raw in hits.entries(broker.client().xrange(hits.STREAM))]


def test_the_pixel_is_a_gif_that_nobody_stores_and_counts_an_opening(client, make_sent):
    delivery = make_sent()
    answer = client.get(f"/o/{token(Purpose.OPEN, delivery)}.gif", headers=READER)
    assert (answer.status_code, answer.mimetype, answer.headers["Cache-Control"]) == (200, "image/gif", "no-store")
    assert answer.data.startswith(b"GIF89a")
    assert "Set-Cookie" not in answer.headers
    (raw,) = streamed()
    assert (raw.kind, raw.delivery_id, raw.seq, raw.method) == ("open", delivery.id, 0, "GET")


def test_a_tracked_link_leads_to_its_target_and_nowhere_else(client, make_sent):
    delivery = make_sent()
    answer = client.get(
        f"/c/{token(Purpose.CLICK, delivery)}/2?url=https://evil.example&target=//evil.example", headers=READER
    )
    assert (answer.status_code, answer.headers["Location"]) == (302, "https://fjellheim.example/2")
    assert "Set-Cookie" not in answer.headers
    assert [(raw.kind, raw.link_no) for raw in streamed()] == [("click", 2)]


def test_a_scanners_head_is_led_on_as_well(client, make_sent):
    answer = client.head(f"/c/{token(Purpose.CLICK, make_sent())}/1", headers=READER)
    assert (answer.status_code, answer.headers["Location"]) == (302, "https://fjellheim.example/1")
    assert streamed()[0].method == "HEAD"


def test_a_field_in_a_target_is_filled_in_and_cannot_change_the_site(client, make_delivery):
    from tests.sent import make

    delivery = make(make_delivery, size=1)
    with transaction():
        db.session.execute(
            db.text(
                "UPDATE link SET target = 'https://fjellheim.example/?n={{ (first_name) | urlencode }}' WHERE no = 1"
            )
        )
        db.session.execute(db.text("""UPDATE message SET values = '{"first_name": "@evil.example/ ?#"}'"""))
    answer = client.get(f"/c/{token(Purpose.CLICK, delivery)}/1")
    assert answer.headers["Location"] == "https://fjellheim.example/?n=%40evil.example/%20%3F%23"


@pytest.mark.parametrize(
    "path", ["/c/{open}/1", "/c/{click}/99", "/c/nonsense/1", "/u/{click}", "/v/{open}", "/p/{click}", "/o/{click}.gif"]
)
def test_a_wrong_token_is_answered_politely_with_404(client, make_sent, path):
    delivery = make_sent()
    made = {purpose: token(Purpose(purpose), delivery) for purpose in ("open", "click")}
    answer = client.get(path.format(**made))
    assert answer.status_code == 404
    assert answer.mimetype in {"text/html", "image/gif"}
    assert streamed() == []


def test_looking_at_the_unsubscribe_page_unsubscribes_nobody(client, make_sent):
    delivery = make_sent()
    for method in (client.get, client.head):
        answer = method(f"/u/{token(Purpose.UNSUBSCRIBE, delivery)}", headers=READER)
        assert answer.status_code == 200
    assert db.session.query(Subscription).filter_by(subscribed=False).count() == 0
    assert db.session.query(Suppression).count() == 0
    assert db.session.query(HitInbox).count() == 0
    page = client.get(f"/u/{token(Purpose.UNSUBSCRIBE, delivery)}").text
    assert "News for tests" in page
    assert "p0@n.example" not in page  # whoever sees the link does not learn the address


def test_the_button_ends_the_topic_only_and_twice_is_once(client, make_sent):
    delivery = make_sent()
    url = f"/u/{token(Purpose.UNSUBSCRIBE, delivery)}"
    for _ in range(2):
        answer = client.post(url, data={"what": "topic"}, headers=READER)
        assert answer.status_code == 200
        assert "You are unsubscribed from News for tests" in answer.text
    assert db.session.query(Subscription).filter_by(subscribed=False).count() == 1
    assert db.session.query(Suppression).count() == 0
    with transaction():
        ingest.fold_inbox(limit=100)
    assert ledger.read(delivery.id).unsubscribed == 1
    assert [hit.kind for hit in db.session.query(Hit)] == ["unsubscribe"]


def test_everything_means_never_again(client, make_sent):
    delivery = make_sent()
    answer = client.post(f"/u/{token(Purpose.UNSUBSCRIBE, delivery, 1)}", data={"what": "everything"})
    assert "You are unsubscribed from everything" in answer.text
    found = db.session.query(Suppression).one()
    assert (found.email_norm, found.cause) == ("p1@n.example", "unsubscribed")


def test_the_one_click_post_of_a_mail_program_needs_no_cookie_and_gets_no_redirect(client, app, make_sent):
    delivery = make_sent()
    app.config["WTF_CSRF_ENABLED"] = True
    try:
        answer = client.post(
            f"/u/{token(Purpose.UNSUBSCRIBE, delivery)}",
            data="List-Unsubscribe=One-Click",
            content_type="application/x-www-form-urlencoded",
            headers={"Origin": "https://mail.example", "Sec-Fetch-Site": "cross-site"},
        )
    finally:
        app.config["WTF_CSRF_ENABLED"] = False
    assert answer.status_code == 200
    assert "Set-Cookie" not in answer.headers
    assert db.session.query(Subscription).filter_by(subscribed=False).count() == 1


def test_the_page_speaks_the_recipients_language(client, make_sent):
    delivery = make_sent()
    with transaction():
        db.session.execute(db.text("UPDATE contact SET language = 'nb'"))
    page = client.get(f"/u/{token(Purpose.UNSUBSCRIBE, delivery)}", headers={"Accept-Language": "nl"}).text
    assert '<html lang="nb">' in page


def test_preferences_end_what_is_not_ticked_and_bring_back_what_is(client, make_sent):
    delivery = make_sent()
    url = f"/p/{token(Purpose.PREFERENCES, delivery)}"
    topic_id = delivery.topic_id
    assert "checked" in client.get(url).text
    assert "checked" not in client.post(url, data={}).text
    assert db.session.query(Subscription).filter_by(subscribed=False).count() == 1
    assert "checked" in client.post(url, data={"topic": str(topic_id)}).text
    with transaction():
        ingest.fold_inbox(limit=100)
    assert ledger.read(delivery.id).unsubscribed == 1  # counted as the fact it was


def test_the_message_can_be_read_in_the_browser_and_runs_nothing(client, make_sent):
    answer = client.get(f"/v/{token(Purpose.VIEW, make_sent())}")
    assert "Hello P0" in answer.text
    assert "/c/" in answer.text
    assert "script-src" not in answer.headers["Content-Security-Policy"]
    assert "sandbox" in answer.headers["Content-Security-Policy"]


def test_while_redis_is_away_a_click_is_led_on_and_counted_all_the_same(client, make_sent, monkeypatch):
    delivery = make_sent()
    calls = []

    def away():
        calls.append(1)
        raise broker.BrokerDown("away")

    monkeypatch.setattr(broker, "quick", away)
    with hits_through_the_test_connection(monkeypatch):
        for link_no in (1, 2):
            answer = client.get(f"/c/{token(Purpose.CLICK, delivery)}/{link_no}", headers=READER)
            assert answer.status_code == 302
    entries = [json.loads(row.entry) for row in db.session.query(HitInbox).order_by(HitInbox.id)]
    assert [entry[3] for entry in entries] == [1, 2]
    with transaction():
        ingest.fold_inbox(limit=100)
    assert ledger.read(delivery.id).clicked == 1


def test_with_everything_away_the_link_still_leads_on_and_the_click_waits_in_a_file(
    client, app, make_sent, monkeypatch
):
    from webapp.tracking import spool

    delivery = make_sent()
    url = f"/c/{token(Purpose.CLICK, delivery)}/1"
    client.get(url, headers=READER)  # now the target is known here
    broker.client().delete(hits.STREAM)
    monkeypatch.setattr(broker, "quick", lambda: (_ for _ in ()).throw(broker.BrokerDown("away")))
    monkeypatch.setattr(hits, "db", None)
    monkeypatch.setattr(hits, "SQLAlchemyError", AttributeError)
    answer = client.get(url, headers=READER)
    assert answer.headers["Location"] == "https://fjellheim.example/1"
    monkeypatch.undo()
    folder = app.extensions["settings"].spool
    assert spool.move_into_inbox(folder) == 1
    assert spool.move_into_inbox(folder) == 0
    with transaction():
        ingest.fold_inbox(limit=100)
    assert ledger.read(delivery.id).clicked == 1


def test_a_late_clock_is_no_reason_to_lose_a_hit(make_sent):
    raw = hits.Raw("open", make_sent().id, 0, None, T0 + timedelta(milliseconds=1234), "a", "b", "GET")
    assert hits.unpack(hits.pack(raw)) == raw
    assert hits.unpack("[1, 2") is None


def hits_through_the_test_connection(monkeypatch):
    """In tests the engine is one connection inside a transaction; what is its own connection elsewhere joins it here."""
    from contextlib import contextmanager

    class Joined:
        def connect(self):
            return self

        def execution_options(self, **_options):
            return self

        def __enter__(self):
            return db.session

        def __exit__(self, *_what):
            return None

    @contextmanager
    def joined():
        class Database:
            engine = Joined()

        monkeypatch.setattr(hits, "db", Database)
        yield

    return joined()
