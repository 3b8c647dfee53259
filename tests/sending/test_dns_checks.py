from dataclasses import replace

import pytest

from tests.sending.zones import Zone
from webapp import settings
from webapp.mail import dkim
from webapp.mail.dkim import Algorithm
from webapp.mail.models import DkimKey, Relay
from webapp.sending import dmarc, dns_checks, domains, spf

DOMAIN = "news.example.org"
KEY = DkimKey(domain=DOMAIN, selector="s1", algorithm="rsa", public="AbC+/=", state="active")


def found(records, *, keys=(KEY,), relays=(), away=False):
    zone = Zone({(kind, name): values for (kind, name), values in records.items()}, away=away)
    findings = dns_checks.check(DOMAIN, keys=keys, relays=relays, resolver=zone)
    return {finding.subject: finding for finding in findings}


@pytest.fixture(autouse=True)
def words(app):
    with app.test_request_context("/"):
        yield


@pytest.mark.parametrize(
    ("records", "level", "said"),
    [
        ([], "error", "There is no SPF record"),
        (["v=spf1 -all", "v=spf1 mx -all"], "error", "several SPF records"),
        (["v=spf1 ip4:192.0.2.1 -all", "other text"], "ok", "needs 0 look-ups"),
        (["v=spf1 a mx ~all"], "ok", "needs 2 look-ups"),
        (["v=spf1 include:relay.example -all"], "ok", "needs 3 look-ups"),
        (["v=spf1 redirect=relay.example"], "ok", "needs 3 look-ups"),
        (["v=spf1 include:nothing.example -all"], "error", "includes nothing.example"),
        (["v=spf1 include:loop.example -all"], "error", "more than 10 look-ups"),
        (["v=spf1 +all"], "error", "every server in the world"),
        (["v=spf1 all"], "error", "every server in the world"),
        (["v=spf1 mx ?all"], "warning", "does not say"),
        (["v=spf1 mx"], "warning", "does not say"),
        (["v=spf10 -all"], "error", "There is no SPF record"),
    ],
)
def test_spf_is_read_as_receivers_read_it(records, level, said):
    answer = found(
        {
            ("TXT", DOMAIN): records,
            ("TXT", "relay.example"): ["v=spf1 a:one.example exists:two.example -all"],
            ("TXT", "loop.example"): ["v=spf1 include:loop.example -all"],
        }
    )["SPF"]
    assert answer.level == level
    assert said in answer.means


def test_ten_look_ups_are_allowed_and_eleven_are_not():
    for count in (10, 11):
        record = "v=spf1 " + " ".join(f"a:h{n}.example" for n in range(count)) + " -all"
        assert spf.read("x.example", Zone({("TXT", "x.example"): [record]})).lookups == count


@pytest.mark.parametrize(
    ("records", "state", "level", "said"),
    [
        (["v=DKIM1; k=rsa; p=AbC+/="], "active", "ok", "it is this one"),
        (["p=Ab C+/="], "active", "ok", "it is this one"),
        ([], "active", "error", "not published"),
        ([], "prepared", "warning", "not published"),
        (["v=DKIM1; k=rsa; p=other"], "active", "error", "Another key"),
        (["v=DKIM1; k=ed25519; p=AbC+/="], "active", "error", "Another key"),
        (["v=DKIM1; p="], "active", "error", "taken back"),
        (["v=DKIM1; t=y:s; p=AbC+/="], "active", "warning", "as a test"),
        (["v=DKIM1; p=AbC+/=", "v=DKIM1; p=AbC+/="], "active", "error", "several records"),
    ],
)
def test_a_key_must_be_published_as_it_is(records, state, level, said):
    key = DkimKey(domain=DOMAIN, selector="s1", algorithm="rsa", public="AbC+/=", state=state)
    answer = found({("TXT", f"s1._domainkey.{DOMAIN}"): records}, keys=[key])["DKIM s1"]
    assert answer.level == level
    assert said in answer.means


@pytest.mark.parametrize(
    ("records", "level", "said"),
    [
        ([], "error", "There is no DMARC record"),
        (["v=DMARC1; p=none; rua=mailto:a@example.org"], "ok", "DMARC holds"),
        (["v=DMARC1; p=reject; rua=mailto:a@example.org"], "ok", "DMARC holds"),
        (["v=DMARC1; p=none"], "warning", "nobody receives"),
        (["v=DMARC1; p=reject; pct=50; ri=3600; rua=mailto:a@example.org"], "warning", "pct, ri"),
        (["v=DMARC1; p=perhaps"], "error", "no policy"),
        (["v=DMARC1; rua=mailto:a@example.org"], "warning", "as if it were p=none"),
        (["v=DMARC1; p=reject; sp=perhaps; rua=mailto:a@example.org"], "warning", "as if it were p=none"),
        (["v=DMARC1; p=reject; t=y; rua=mailto:a@example.org"], "warning", "as a test"),
        (["v=DMARC1garbage; p=reject; rua=mailto:a@example.org"], "error", "There is no DMARC record"),
        (["v=dmarc1; p=reject; rua=mailto:a@example.org"], "error", "There is no DMARC record"),
        (["v=DMARC1; p=none", "v=DMARC1; p=none"], "error", "several DMARC records"),
    ],
)
def test_dmarc_is_read_as_rfc_9989_has_it(records, level, said):
    answer = found({("TXT", f"_dmarc.{DOMAIN}"): records})["DMARC"]
    assert answer.level == level
    assert said in answer.means


WHOLE = "v=DMARC1; p=reject; rua=mailto:a@example.org"


@pytest.mark.parametrize(
    ("records", "said"),
    [
        ({"example.org": WHOLE}, "from _dmarc.example.org of the domain above: for this domain it asks for reject"),
        ({"example.org": WHOLE + "; sp=none"}, "asks for none"),
        ({"shop.example.org": "v=DMARC1; p=none; rua=mailto:a@b.example", "example.org": WHOLE}, "_dmarc.example.org"),
        ({"shop.example.org": WHOLE + "; psd=n", "example.org": WHOLE}, "_dmarc.shop.example.org"),
        ({"shop.example.org": WHOLE, "example.org": WHOLE, "org": WHOLE + "; psd=y"}, "_dmarc.example.org"),
        ({"shop.example.org": WHOLE, "org": WHOLE + "; psd=y"}, "_dmarc.org"),
        ({"org": WHOLE + "; psd=y"}, "_dmarc.org"),
    ],
)
def test_without_a_record_of_its_own_that_of_the_organisation_counts(records, said):
    zone = Zone({("TXT", f"_dmarc.{name}"): [record] for name, record in records.items()})
    answers = dns_checks.check("news.shop.example.org", keys=[KEY], relays=[], resolver=zone)
    answer = next(answer for answer in answers if answer.subject == "DMARC")
    assert answer.level == "ok"
    assert said in answer.means


def test_a_very_long_name_is_cut_to_seven_labels_on_the_way_up():
    zone = Zone({("TXT", "_dmarc.d.e.f.g.h.example.org"): [WHOLE]})
    assert dmarc.read("a.b.c.d.e.f.g.h.example.org", zone).inherited
    asked = [name.removeprefix("_dmarc.") for _, name in zone.asked]
    assert asked[:3] == ["a.b.c.d.e.f.g.h.example.org", "d.e.f.g.h.example.org", "e.f.g.h.example.org"]
    assert asked[-1] == "org"
    assert len(asked) == 8


def relay(host):
    return Relay(name=host, host=host, port=25)


def test_the_name_of_a_relays_address_must_lead_back_to_it():
    hosts = ["198.41.0.4", "8.8.8.8", "9.9.9.9", "127.0.0.1", "one.example", "two.example", "inside.example"]
    answers = found(
        {
            ("PTR", "198.41.0.4"): ["a.example.org"],
            ("A", "a.example.org"): ["198.41.0.4"],
            ("PTR", "8.8.8.8"): ["b.example.org"],
            ("A", "one.example"): ["198.41.0.4"],
            ("A", "two.example"): ["198.41.0.4", "8.8.8.8"],
            ("A", "inside.example"): ["10.0.0.7"],
        },
        relays=[relay(host) for host in hosts],
    )
    levels = {subject: answer.level for subject, answer in answers.items() if subject.startswith("PTR")}
    assert levels == {
        "PTR 198.41.0.4": "ok",
        "PTR 8.8.8.8": "error",
        "PTR 9.9.9.9": "error",
        "PTR one.example": "ok",
        "PTR two.example": "warning",
    }


@pytest.mark.parametrize(
    ("record", "level"),
    [
        ("v=spf1 ip4:198.41.0.0/24 -all", "ok"),
        ("v=spf1 a:relay.example -all", "ok"),
        ("v=spf1 mx -all", "ok"),
        ("v=spf1 a/16 -all", "ok"),
        ("v=spf1 include:other.example -all", "ok"),
        ("v=spf1 exists:%{i}.example -all", "ok"),
        ("v=spf1 ip4:198.41.1.0/24 -all", "warning"),
        ("v=spf1 -ip4:198.41.0.4 -all", "warning"),
        ("v=spf1 -all", "warning"),
    ],
)
def test_spf_should_name_the_addresses_of_the_relay(record, level):
    records = {
        ("TXT", DOMAIN): [record],
        ("TXT", "other.example"): ["v=spf1 ip4:198.41.0.4 -all"],
        ("A", "relay.example"): ["198.41.0.4"],
        ("A", DOMAIN): ["198.41.99.1"],
        ("MX", DOMAIN): ["relay.example"],
    }
    answer = found(records, relays=[relay("relay.example")])["SPF"]
    assert answer.level == level
    assert ("198.41.0.4" in answer.means) == (level == "warning")


def test_a_domain_without_a_mail_server_loses_its_bounces():
    assert found({})["MX"].level == "warning"
    assert found({("MX", DOMAIN): ["."]})["MX"].level == "warning"
    assert found({("MX", DOMAIN): ["mail.example.org"]})["MX"].level == "ok"


def test_a_domain_without_keys_is_told_so():
    assert found({}, keys=())["DKIM"].level == "warning"


def test_without_dns_everything_is_unknown_and_soon():
    zone = Zone(away=True)
    findings = dns_checks.check(DOMAIN, keys=[KEY], relays=[relay("8.8.8.8")], resolver=zone)
    assert [finding.level for finding in findings] == ["unknown"] * 5
    assert "no server answered" in findings[0].seen
    assert len(zone.asked) == 2


def test_what_is_to_be_published_is_what_is_looked_for():
    for algorithm in Algorithm:
        public = dkim.public_text(dkim.load(dkim.generate(algorithm), domain=DOMAIN, selector="s1"))
        key = DkimKey(domain=DOMAIN, selector="s1", algorithm=str(algorithm), public=public, state="active")
        record = dkim.record_value(algorithm, public)
        assert found({("TXT", f"s1._domainkey.{DOMAIN}"): [record]}, keys=[key])["DKIM s1"].level == "ok"


def test_spf_and_the_mail_server_are_those_of_the_return_path():
    before = settings.current()
    settings.use(replace(before, bounce_domain="bounces.example.net"))
    try:
        records = {
            record.name for record in domains.other_records(DOMAIN) if record.kind == "MX" or "spf1" in record.value
        }
        findings = found({("TXT", "bounces.example.net"): ["v=spf1 ip4:192.0.2.1 -all"]})
    finally:
        settings.use(before)
    assert records == {"bounces.example.net"}
    assert findings["SPF"].level == "ok"
