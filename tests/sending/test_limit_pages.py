import pytest

from tests.fixtures import T0
from webapp.db import db, transaction
from webapp.mail.models import Relay
from webapp.sending import providers, slowing
from webapp.sending.models import Provider

FORM = {"name": "Small ones", "domains": "Small.example\nother.example", "per_minute": "30"}


@pytest.fixture
def admin(as_role):
    return as_role("Administrator")


def named(name):
    db.session.expire_all()
    return db.session.query(Provider).filter_by(name=name).one()


def test_usual_providers_have_limits_to_begin_with(database):
    table = providers.table()
    assert table.leads["googlemail.com"] == "gmail.com"
    assert table.limit("gmail.com") == 1200
    assert table.limit("example.com") is None
    assert table.name("hotmail.com") == "hotmail.com"
    assert table.name("outlook.com") == "Outlook.com"


def test_a_limit_is_added_changed_and_removed(admin):
    assert admin.post("/settings/limits/new", data=FORM).status_code == 303
    added = named("Small ones")
    assert added.domains == ["small.example", "other.example"]
    page = admin.get("/settings/limits")
    assert "Small ones" in page.text
    admin.post(f"/settings/limits/{added.id}", data={**FORM, "per_minute": ""})
    assert named("Small ones").per_minute is None
    assert admin.post(f"/settings/limits/{added.id}/remove").status_code == 303
    assert db.session.query(Provider).filter_by(name="Small ones").count() == 0


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"domains": ""}, "at least one domain"),
        ({"domains": "not a domain!"}, "is not a domain"),
        ({"domains": "googlemail.com"}, "belongs to Gmail already"),
        ({"name": "gmail"}, "of this name already"),
        ({"per_minute": "0"}, "From 1 to 1,000,000"),
    ],
)
def test_what_is_wrong_with_a_limit_is_said(admin, changed, said):
    answer = admin.post("/settings/limits/new", data=FORM | changed)
    assert answer.status_code == 422
    assert said in answer.text


def test_all_other_domains_can_be_limited_and_are_not_removed(admin):
    rest = named("Rest")
    assert admin.post(f"/settings/limits/{rest.id}", data={"per_minute": "90"}).status_code == 303
    assert providers.table().limit("example.com") == 90
    assert providers.table().limit("gmail.com") == 1200
    assert admin.post(f"/settings/limits/{rest.id}/remove").status_code == 409


def test_a_slowed_domain_is_shown_with_its_reason_and_freed(admin):
    with transaction():
        relay = Relay(name="Own server", host="h", port=1, created_at=T0)
        db.session.add(relay)
        db.session.flush()
        from webapp import clock

        slowing.slow(relay.id, domain="gmail.com", limit=1200, said="421 4.7.28 slow down", at=clock.now())
    page = admin.get("/settings/limits").text
    assert "421 4.7.28 slow down" in page
    assert "600" in page
    free = f"/settings/limits/slowed/{relay.id}/gmail.com/free"
    assert admin.post(free).status_code == 303
    assert "421 4.7.28" not in admin.get("/settings/limits").text
    assert admin.post(free).status_code == 404


@pytest.mark.parametrize("role", ["Manager", "Marketer", "Reviewer", "Delivery supervisor"])
def test_limits_are_for_administrators(as_role, role):
    client = as_role(role)
    assert client.get("/settings/limits").status_code == 403
    assert client.post("/settings/limits/new", data=FORM).status_code == 403
