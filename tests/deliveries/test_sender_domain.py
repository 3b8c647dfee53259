"""The rule about sending domains goes by what DNS said last, and asks nothing itself."""

import pytest

from tests.fixtures import T0
from webapp.db import db, transaction
from webapp.deliveries import confirm, facts
from webapp.deliveries.models import PreparationLog
from webapp.mail.models import DomainCheck

DOMAIN = "fjellheim.example"


def keep(amiss):
    with transaction():
        db.session.add(DomainCheck(domain=DOMAIN, at=T0, amiss=amiss))


def found(findings):
    return [(one.code, one.params) for one in findings if one.code.startswith("domain_")]


@pytest.mark.parametrize(
    ("amiss", "expected"),
    [
        (None, [("domain_unchecked", {"domain": DOMAIN})]),
        ([], []),
        (["SPF", "DKIM s1"], [("domain_amiss", {"domain": DOMAIN, "names": "SPF, DKIM s1"})]),
    ],
)
def test_a_preparation_warns_of_what_was_amiss_and_of_never_having_looked(make_delivery, prepare, amiss, expected):
    delivery = make_delivery(size=3, from_address="News@Fjellheim.Example")
    if amiss is not None:
        keep(amiss)
    assert found(facts.findings_of(delivery)) == expected
    assert prepare(delivery) == "done"
    assert found(confirm.warnings(delivery)) == expected
    lines = db.session.query(PreparationLog).filter_by(preparation_id=delivery.preparation_id, level="warning")
    assert [line.code for line in lines] == [f"check.{code}" for code, _params in expected]


def test_nothing_is_said_where_no_mail_goes_out_or_there_is_no_address_yet(make_delivery, relay):
    delivery = make_delivery(size=1)
    with transaction():
        delivery.from_address = "news@"
    assert found(facts.findings_of(delivery)) == []
    with transaction():
        delivery.from_address, relay.builtin = f"news@{DOMAIN}", True
    assert found(facts.findings_of(delivery)) == []


def test_setup_leads_an_administrator_to_the_check_and_tells_others_whom_to_ask(make_delivery, relay, as_role):
    delivery = make_delivery(size=1)
    link = f'href="/settings/domains/{DOMAIN}"'
    for role, linked in (("Marketer", False), ("Administrator", True)):
        page = as_role(role, email=f"{role}@example.com".lower()).get(f"/deliveries/{delivery.id}/setup").text
        assert f"Nobody has checked what DNS says of the sender&#39;s domain {DOMAIN}" in page
        assert (link in page) == linked
