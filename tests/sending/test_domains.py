import dkim as oracle
import pytest
from sqlalchemy import update

from tests.fixtures import T0
from tests.mail.desks import good
from tests.mail.servers import ScriptedServer
from tests.sending.orders import make_order
from tests.sending.zones import Zone
from webapp import clock
from webapp.accounts.models import AuditEntry
from webapp.db import db, transaction
from webapp.deliveries.models import Delivery, Proof
from webapp.errors import Conflict, Invalid, NotAllowed
from webapp.mail import dkim, resolver, warmup
from webapp.mail.dkim import Algorithm
from webapp.mail.models import DkimKey, DomainCheck, Relay
from webapp.sending import domains, letters, work

DOMAIN = "fjellheim.example"


@pytest.fixture
def admin(as_role):
    return as_role("Administrator")


@pytest.fixture
def person(make_user):
    return make_user("Administrator", email="keys@example.com")


@pytest.fixture
def zone(monkeypatch):
    found = Zone()
    monkeypatch.setattr(resolver, "system", lambda: found)
    return found


def publish(zone):
    for key in domains.keys_of(DOMAIN):
        zone.records["TXT", domains.record_name(key)] = [dkim.record_value(key.algorithm, key.public)]


def make(person, *algorithms, active=True):
    made = []
    for algorithm in algorithms or (Algorithm.RSA,):
        with transaction():
            key = domains.add_key(DOMAIN, algorithm=algorithm, by=person, at=T0)
            made.append(domains.activate(key.id, by=person, at=T0) if active else key)
    return made


def states():
    db.session.expire_all()
    return {key.selector: key.state for key in domains.keys_of(DOMAIN)}


def valid(raw, zone):
    count = raw.count(b"DKIM-Signature:")

    def look_up(name, timeout=5):
        return zone.txt(name.decode().rstrip("."))[0].encode()

    return [oracle.DKIM(raw).verify(number, dnsfunc=look_up) for number in range(count)]


def test_a_key_is_made_published_activated_and_retired(admin, zone):
    assert admin.post("/settings/domains", data={"domain": "Fjellheim.Example.", "algorithm": "rsa"}).status_code == 303
    (key,) = domains.keys_of(DOMAIN)
    assert (key.state, domains.signing_keys(DOMAIN)) == ("prepared", [])
    page = admin.get(f"/settings/domains/{DOMAIN}").text
    assert domains.record_name(key) in page
    assert key.public in page.replace("&#43;", "+")
    publish(zone)
    assert admin.post(f"/settings/domains/keys/{key.id}/activate").status_code == 303
    assert [one.selector for one in domains.signing_keys(DOMAIN)] == [key.selector]
    assert admin.post(f"/settings/domains/keys/{key.id}/retire").status_code == 303
    assert states() == {key.selector: "retired"}
    assert domains.keys_of(DOMAIN)[0].private_key is None
    assert admin.post(f"/settings/domains/keys/{key.id}/activate", data={"anyway": "1"}).status_code == 409
    actions = [entry.action for entry in db.session.query(AuditEntry).order_by(AuditEntry.id)]
    assert actions == ["dkim-key-created", "dkim-key-activated", "dkim-key-retired"]


def test_a_key_that_dns_does_not_have_is_activated_only_by_who_insists(admin, zone, person):
    (key,) = make(person, active=False)
    for away in (False, True):
        zone.away = away
        answer = admin.post(f"/settings/domains/keys/{key.id}/activate")
        assert answer.status_code == 200
        assert "Activate anyway" in answer.text
    assert states() == {key.selector: "prepared"}
    assert admin.post(f"/settings/domains/keys/{key.id}/activate", data={"anyway": "1"}).status_code == 303
    assert states() == {key.selector: "active"}


def test_a_new_key_takes_the_place_of_the_one_of_its_kind(person, database):
    make(person, Algorithm.RSA, Algorithm.ED25519, Algorithm.RSA)
    assert states() == {"s202611r1": "retired", "s202611e1": "active", "s202611r2": "active"}
    assert [key.algorithm for key in domains.signing_keys(DOMAIN)] == ["rsa", "ed25519"]


def test_private_keys_are_kept_encrypted_and_shown_nowhere(admin, person):
    (key,) = make(person)
    private = domains.signing_keys(DOMAIN)[0].private
    assert b"\x30\x82" not in key.private_key[:8]
    number = str(private.private_numbers().d)
    assert number not in admin.get(f"/settings/domains/{DOMAIN}").text


def test_only_administrators_touch_keys(as_role, make_user, person):
    (key,) = make(person)
    marketer = make_user("Marketer", email="m@example.com")
    with pytest.raises(NotAllowed):
        domains.add_key(DOMAIN, algorithm=Algorithm.RSA, by=marketer, at=T0)
    client = as_role("Delivery supervisor")
    assert client.get("/settings/domains").status_code == 403
    assert client.post(f"/settings/domains/keys/{key.id}/retire").status_code == 403


@pytest.mark.parametrize("text", ["", "nothing", "a b.example", "x@y.example", "-.example", "a..example", "../etc"])
def test_what_is_no_domain_is_refused_in_words(admin, text):
    with pytest.raises(Invalid):
        domains.parse_domain(text)
    answer = admin.post("/settings/domains", data={"domain": text, "algorithm": "rsa"})
    assert answer.status_code == 422
    assert "such as example.org" in answer.text


def test_the_domains_of_senders_are_listed_and_one_name_has_one_address(admin, make_delivery):
    make_delivery()
    make_delivery(audience="Others", from_address="not finished@")
    page = admin.get("/settings/domains").text
    assert f"/settings/domains/{DOMAIN}" in page
    assert "sendoff.example" in page
    assert admin.get("/settings/domains/Fjellheim.EXAMPLE").headers["Location"].endswith(DOMAIN)
    assert admin.get("/settings/domains/nothing").status_code == 404


def test_checking_shows_what_dns_says_and_changes_nothing(admin, zone, person):
    make(person)
    publish(zone)
    zone.records["TXT", DOMAIN] = ["v=spf1 <b> -all"]
    page = admin.post(f"/settings/domains/{DOMAIN}/check").text
    assert "it is this one" in page
    assert "v=spf1 &lt;b&gt; -all" in page
    assert "There is no DMARC record" in page


def test_what_is_not_in_order_is_kept_for_the_rule_and_a_silent_dns_leaves_the_last_answer(admin, zone, monkeypatch):
    assert "DNS has not been asked yet" in admin.get(f"/settings/domains/{DOMAIN}").text
    admin.post(f"/settings/domains/{DOMAIN}/check")
    assert db.session.get(DomainCheck, DOMAIN).amiss == ["SPF", "DMARC"]  # that no key is made is no error
    assert "Not in order when DNS was asked last: SPF, DMARC" in admin.get(f"/settings/domains/{DOMAIN}").text
    zone.records["TXT", DOMAIN] = ["v=spf1 mx -all"]
    admin.post(f"/settings/domains/{DOMAIN}/check")
    db.session.expire_all()
    assert db.session.get(DomainCheck, DOMAIN).amiss == ["DMARC"]
    monkeypatch.setattr(resolver, "system", _no_dns)
    admin.post(f"/settings/domains/{DOMAIN}/check")
    db.session.expire_all()
    assert db.session.get(DomainCheck, DOMAIN).amiss == ["DMARC"]


def _no_dns():
    raise resolver.NoDns("no name server is set up")


def test_a_domain_is_warmed_up_by_a_plan_and_the_page_tells_what_went_today(admin, person):
    url = f"/settings/domains/{DOMAIN}"
    assert admin.post(f"{url}/plan", data={"plan": "500, 1 000"}).status_code == 303
    page = admin.get(url).text
    assert "0 of 500 messages today" in page
    assert 'value="500, 1000"' in page
    with transaction():
        tops = warmup.limited([warmup.of_domain(DOMAIN)], at=clock.now())
        warmup.grant(tops, wanted=20, at=clock.now())
    assert "20 of 500 messages today" in admin.get(url).text
    assert "20 of 500 messages today" in admin.get("/settings/domains").text
    admin.post(f"{url}/plan", data={"plan": "50"})
    assert warmup.of_domain(DOMAIN).plan_from is not None
    admin.post(f"{url}/plan", data={"plan": "50", "begin_again": "y"})
    assert warmup.of_domain(DOMAIN).plan_from is None
    wrong = admin.post(f"{url}/plan", data={"plan": "some"})
    assert (wrong.status_code, 'value="some"' in wrong.text) == (422, True)
    admin.post(f"{url}/plan", data={"plan": ""})
    assert warmup.of_domain(DOMAIN) is None
    assert {entry.action for entry in db.session.query(AuditEntry)} == {"domain-plan-changed"}


def test_a_new_plan_frees_what_waits_for_the_next_day(admin, make_delivery):
    delivery = make_delivery(state="sending", waits_until=clock.now())
    admin.post(f"/settings/domains/{DOMAIN}/plan", data={"plan": "900"})
    db.session.expire_all()
    assert db.session.get(Delivery, delivery.id).waits_until is None


def test_a_machine_without_dns_is_told_in_words(admin, monkeypatch):
    monkeypatch.setattr(resolver, "system", _no_dns)
    page = admin.post(f"/settings/domains/{DOMAIN}/check").text
    assert "DNS gave no answer" in page
    assert "no name server is set up" in page


@pytest.mark.parametrize(
    ("host", "record"),
    [
        ("192.0.2.7", "v=spf1 ip4:192.0.2.7 -all"),
        ("2001:db8::7", "v=spf1 ip6:2001:db8::7 -all"),
        ("r.example", "v=spf1 a:r.example -all"),
    ],
)
def test_the_spf_record_names_the_relay(database, app, host, record):
    with transaction():
        db.session.add(Relay(name="R", host=host, port=25, is_default=True, created_at=T0))
    with app.test_request_context("/"):
        assert domains.other_records(DOMAIN)[0].value == record


def test_messages_of_a_delivery_are_signed_with_each_active_key(person, zone):
    make(person, Algorithm.RSA, Algorithm.ED25519)
    publish(zone)
    order = make_order(1)
    with transaction():
        loaded = work.load(order.delivery_id, at=T0)
    made = loaded.maker.make(seq=0, email="ann@example.com", values={"first_name": "Ann"})
    assert valid(made.content, zone) == [True, True]


def test_a_domain_without_an_active_key_sends_unsigned(person, database):
    make(person, active=False)
    order = make_order(1)
    with transaction():
        loaded = work.load(order.delivery_id, at=T0)
    assert b"DKIM-Signature" not in loaded.maker.make(seq=0, email="ann@example.com", values={}).content


def test_a_key_that_cannot_be_read_pauses_the_delivery_in_words(person, database):
    make(person)
    with transaction():
        db.session.execute(update(DkimKey).values(private_key=b"of another secret"))
    order = make_order(1)
    with pytest.raises(Conflict):
        domains.signing_keys(DOMAIN)
    with transaction():
        assert work.load(order.delivery_id, at=T0) is None
    delivery = db.session.get(Delivery, order.delivery_id, populate_existing=True)
    assert (delivery.state, delivery.state_reason) == ("paused", "dkim_key")


def test_proofs_are_signed(person, zone, make_delivery, database):
    make(person)
    publish(zone)
    with ScriptedServer(good("PIPELINING")) as server:
        with transaction():
            db.session.add(
                Relay(name="R", host="127.0.0.1", port=server.port, tls="none", is_default=True, created_at=T0)
            )
        delivery = make_delivery()
        with transaction():
            proof = Proof(delivery_id=delivery.id, address="ann@example.org", requested_at=T0)
            db.session.add(proof)
        assert letters.send_proof(proof.id, clock=lambda: T0) == "sent"
    (message,) = server.conversations[0].messages
    assert valid(message, zone) == [True]
