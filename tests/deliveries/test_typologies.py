import pytest

from tests.fixtures import T0
from webapp.accounts.models import AuditEntry
from webapp.db import db, transaction
from webapp.deliveries import preparation, preparation_run, rulebook
from webapp.deliveries.models import Exclusion, Message, PreparationLog
from webapp.errors import Conflict, Invalid, NotAllowed
from webapp.rules import typologies
from webapp.rules.kinds import KINDS
from webapp.rules.models import Rule, Typology

PAGE = "/settings/typologies"


@pytest.fixture
def admin(make_user):
    return make_user("Administrator")


@pytest.fixture
def add_rule(admin):
    def add(kind, *, typology=None, level="info", **values):
        with transaction():
            return typologies.add_rule(
                typology or typologies.standard(), kind, {"level": level, "active": True, **values}, by=admin, at=T0
            )

    return add


@pytest.mark.parametrize(
    ("kind", "values", "field"),
    [
        ("excluded_domains", {"domains": ""}, "domains"),
        ("excluded_domains", {"domains": "not a domain"}, "domains"),
        ("excluded_addresses", {"addresses": "eve@"}, "addresses"),
        ("control_group", {"percent": 100}, "percent"),
        ("maximum", {"number": None}, "number"),
        ("pressure", {"messages": 0, "days": 7}, "messages"),
        ("pressure", {"messages": 1, "days": 91}, "days"),
        ("duplicate", {}, "kind"),
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused_beside_its_field(database, add_rule, kind, values, field):
    with pytest.raises(Invalid) as refused:
        add_rule(kind, **values)
    assert refused.value.field == field


def test_domains_and_addresses_are_kept_as_they_are_compared(database, add_rule):
    domains = add_rule("excluded_domains", domains="Rival.Example, @other.example\nrival.example")
    assert domains.params == {"domains": ["rival.example", "other.example"]}
    assert add_rule("excluded_addresses", addresses="Eve@X.example").params == {"addresses": ["eve@x.example"]}


def test_only_administrators_change_rules(database, make_user):
    supervisor = make_user("Delivery supervisor")
    with pytest.raises(NotAllowed), transaction():
        typologies.create("Mine", by=supervisor, at=T0)


def test_rules_move_up_and_down_and_what_is_built_in_stays(database, admin, add_rule):
    rule = add_rule("maximum", number=5)
    with transaction():
        typologies.act(rule, "up", by=admin, at=T0)
    about_recipients = [one.kind for one in typologies.standard().rules if not KINDS[one.kind].checks]
    assert about_recipients[-2:] == ["maximum", "duplicate"]
    missing, duplicate = (
        db.session.query(Rule).filter_by(kind=kind).one() for kind in ("address_missing", "duplicate")
    )
    for one, action in ((missing, "off"), (duplicate, "delete")):
        with pytest.raises(Conflict), transaction():
            typologies.act(one, action, by=admin, at=T0)


def test_a_typology_in_use_and_the_standard_one_cannot_be_deleted(make_delivery, admin):
    with transaction():
        made = typologies.create("Contracts", by=admin, at=T0)
    make_delivery(size=0, typology_id=made.id)
    for one in (made, typologies.standard()):
        with pytest.raises(Conflict), transaction():
            typologies.remove(one, by=admin, at=T0)
    assert db.session.query(Typology).count() == 2


def test_a_delivery_is_prepared_by_its_own_typology(make_delivery, prepare, admin, add_rule):
    with transaction():
        made = typologies.create("Contracts", by=admin, at=T0)
    add_rule("maximum", typology=made, number=3)
    assert prepare(make_delivery(size=5)) == "done"
    delivery = make_delivery(size=5, audience="Contract partners", typology_id=made.id)
    assert prepare(delivery) == "done"
    assert preparation.current(delivery).to_deliver == 3
    assert db.session.query(Message).filter_by(delivery_id=delivery.id).count() == 3


def test_a_rule_whose_level_is_error_fails_the_preparation_only_if_it_fires(make_delivery, prepare, add_rule):
    add_rule("excluded_domains", domains="nobody.example", level="error", name="Nobody")
    delivery = make_delivery(size=5)
    assert prepare(delivery) == "done"
    add_rule("excluded_domains", domains="n.example", level="error", name="Rivals")
    assert prepare(delivery) == "failed"
    assert (delivery.state, delivery.state_reason) == ("preparation-failed", "rule_error")
    lines = db.session.query(PreparationLog).filter_by(preparation_id=delivery.preparation_id, level="error")
    assert [line.params["name"] for line in lines if line.code == "rule"] == ["Rivals"]


@pytest.mark.parametrize("own", [True, False])
def test_changing_a_typology_takes_what_was_prepared_by_it_back_to_draft(make_delivery, prepare, admin, own):
    with transaction():
        made = typologies.create("Contracts", by=admin, at=T0)
    by_it = make_delivery(size=5, typology_id=made.id if own else None)
    other = make_delivery(size=5, audience="Others", typology_id=None if own else made.id)
    assert prepare(by_it) == prepare(other) == "done"
    with transaction():
        assert rulebook.changed(made.id if own else typologies.standard().id, by=admin, at=T0) == 1
    db.session.expire_all()
    assert (by_it.state, by_it.state_reason, by_it.preparation_id) == ("draft", "rules_changed", None)
    assert other.state == "ready"
    assert db.session.query(Message).filter_by(delivery_id=by_it.id).count() == 0


def test_a_preparation_under_way_stops_when_its_rules_change(make_delivery, prepare, admin):
    delivery = make_delivery(size=5)
    with transaction():
        running = preparation.prepare(delivery.id, by=prepare.by, at=T0)
    with transaction():
        assert rulebook.changed(typologies.standard().id, by=admin, at=T0) == 1
    db.session.expire_all()
    assert delivery.state == "draft"
    assert preparation_run.run(running, base_url="https://s.example", moment=lambda: T0) == "stopped"


def test_an_administrator_makes_a_typology_adds_a_rule_orders_and_tries_it(as_role, make_delivery, prepare):
    delivery = make_delivery(size=12)
    assert prepare(delivery) == "done"
    client = as_role("Administrator")
    assert "Standard" in client.get(PAGE).text
    made = client.post(f"{PAGE}/new", data={"name": "Careful"})
    place = made.headers["Location"]
    assert client.post(f"{PAGE}/new", data={"name": "careful"}).status_code == 422
    bad = client.post(f"{place}/rules/new?kind=excluded_domains", data={"domains": "!", "level": "info"})
    assert bad.status_code == 422
    data = {"domains": "n.example", "level": "warning", "active": "y", "name": "Rivals"}
    assert client.post(f"{place}/rules/new?kind=excluded_domains", data=data).status_code == 303
    page = client.get(place).text
    assert "Rivals" in page
    rule = db.session.query(Rule).filter_by(name="Rivals").one()
    for action in ("up", "off", "on"):
        assert client.post(f"{PAGE}/rules/{rule.id}/{action}").status_code == 303
    tried = client.get(f"{PAGE}/rules/{rule.id}/try?list={delivery.targets[0].list_id}").text
    assert "It would leave out 12 of 12 contacts" in tried
    assert tried.count("@n.example</a>") == 10
    db.session.expire_all()
    assert delivery.state == "ready"  # another typology was changed
    standard = db.session.query(Rule).filter_by(kind="duplicate").order_by(Rule.id).first()
    client.post(f"{PAGE}/rules/{standard.id}/off")
    db.session.expire_all()
    assert delivery.state == "draft"
    actions = {entry.action for entry in db.session.query(AuditEntry)}
    assert {"typology-created", "rule-created", "rule-changed", "delivery-moved"} <= actions
    assert client.post(f"{PAGE}/rules/{rule.id}/delete").status_code == 303
    assert client.post(f"{place}/delete").status_code == 303


@pytest.mark.parametrize("kind", ["control_group", "maximum", "pressure", "not_subscribed", "suppressed", "duplicate"])
def test_every_kind_of_rule_can_be_tried_alone(as_role, make_delivery, topic, add_rule, kind):
    delivery = make_delivery(size=12)
    values = {"percent": 50, "number": 5, "messages": 1, "days": 7}
    own = kind in {"control_group", "maximum", "pressure"}
    rule = add_rule(kind, **values) if own else db.session.query(Rule).filter_by(kind=kind).one()
    client = as_role("Administrator", email="other@example.com")
    query = f"list={delivery.targets[0].list_id}&topic={topic.id}"
    page = client.get(f"{PAGE}/rules/{rule.id}/try?{query}")
    assert page.status_code == 200
    assert "of 12 contacts" in page.text


def test_only_administrators_see_the_rules(as_role):
    assert as_role("Delivery supervisor").get(PAGE).status_code == 403


def test_the_pages_of_a_delivery_tell_causes_by_the_names_of_the_rules(as_role, make_delivery, prepare, add_rule):
    add_rule("maximum", number=3, name="A small trial")
    delivery = make_delivery(size=5)
    assert prepare(delivery) == "done"
    client = as_role("Administrator", email="other@example.com")
    for page in ("prepare", "confirm", "exclusions"):
        assert "A small trial" in client.get(f"/deliveries/{delivery.id}/{page}").text
    assert {row.cause.partition("-")[0] for row in db.session.query(Exclusion)} == {"maximum"}


def test_typology_and_weight_are_chosen_in_setup(as_role, make_delivery, admin):
    with transaction():
        made = typologies.create("Contracts", by=admin, at=T0)
    delivery = make_delivery(size=1)
    client = as_role("Marketer")
    data = {
        "label": "x", "tracking": "full", "language": "en", "topic": delivery.topic_id, "typology": made.id, "weight": 3,
        "folder": "", "relay": "",
    }  # fmt: skip
    answer = client.post(f"/deliveries/{delivery.id}/setup", data=data)
    assert answer.status_code == 303
    db.session.expire_all()
    assert (delivery.typology_id, delivery.weight) == (made.id, 3)
