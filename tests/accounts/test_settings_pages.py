"""Users, roles, folders and the audit log, as administrators use them."""

import pytest
from sqlalchemy import select

from tests.fixtures import T0
from webapp.accounts import audit, folders, roles, users
from webapp.accounts.models import AuditEntry, Folder, Role, User
from webapp.accounts.rights import Right
from webapp.db import db, transaction
from webapp.errors import Conflict, NotFound
from webapp.mail.outbox import Letter


@pytest.fixture
def admin(as_role):
    return as_role("Administrator", email="ingrid@example.com", name="Ingrid")


@pytest.fixture
def maja(make_user):
    return make_user("Marketer", email="maja@example.com", name="Maja")


def role_id(name):
    return db.session.scalar(select(Role.id).where(Role.name == name))


def fields(user, **changes):
    return {"name": user.name, "email": user.email, "role_id": user.role_id} | changes


def last_entry():
    return db.session.scalar(select(AuditEntry).order_by(AuditEntry.id.desc()))


def test_a_user_gets_another_role_and_folders_and_it_is_written_down(admin, maja):
    folder = db.session.scalar(select(Folder.id))
    data = fields(maja, role_id=role_id("Reviewer"), limited_to_folders="y", folder_ids=[folder])
    assert admin.post(f"/settings/users/{maja.id}", data=data).status_code == 303
    db.session.expire_all()
    assert maja.role.name == "Reviewer"
    assert maja.sees_folder(folder)
    assert not maja.sees_folder(None)
    entry = last_entry()
    assert (entry.action, entry.user_name, entry.address) == ("user-changed", "Ingrid", "127.0.0.1")
    assert entry.detail["role"] == {"was": "Marketer", "is": "Reviewer"}
    assert "email" not in entry.detail


@pytest.mark.parametrize(
    "wrong",
    [{"email": "ingrid@example.com"}, {"email": "nonsense"}, {"name": ""}, {"role_id": 0}, {"limited_to_folders": "y"}],
)
def test_a_user_that_cannot_be_is_shown_again_with_the_reason(admin, maja, wrong):
    answer = admin.post(f"/settings/users/{maja.id}", data=fields(maja, **wrong))
    assert answer.status_code == 422
    assert 'class="error"' in answer.text


def test_the_last_administrator_stays_one(admin, maja):
    ingrid = users.by_address("ingrid@example.com")
    answer = admin.post(f"/settings/users/{ingrid.id}", data=fields(ingrid, role_id=role_id("Manager")))
    assert answer.status_code == 422
    assert "nobody who can administer" in answer.text
    db.session.expire_all()
    assert ingrid.role.name == "Administrator"
    assert admin.post(f"/settings/users/{ingrid.id}/deactivate").status_code == 409


def test_a_limited_administrator_is_not_counted_as_the_last_one(admin, make_user):
    folder = db.session.scalar(select(Folder))
    ingrid = users.by_address("ingrid@example.com")
    make_user("Administrator", email="b@example.com", limited_to_folders=True, folders=[folder])
    with pytest.raises(Conflict), transaction():
        users.set_active(ingrid.id, active=False, by=users.by_address("b@example.com"), at=T0)


def test_who_is_deactivated_is_signed_out_at_once_and_may_come_back(admin, as_role):
    client = as_role("Marketer", email="maja@example.com")
    maja = users.by_address("maja@example.com")
    assert client.get("/profile").status_code == 200
    assert admin.post(f"/settings/users/{maja.id}/deactivate").status_code == 303
    assert client.get("/profile").status_code == 302
    assert "Deactivated" in admin.get("/settings/users").text
    assert admin.post(f"/settings/users/{maja.id}/activate").status_code == 303
    assert client.get("/profile").status_code == 302


def test_a_role_is_defined_changed_and_deleted(admin, maja):
    assert admin.post("/settings/roles/new", data={"name": "Sender", "rights": ["start"]}).status_code == 303
    sender = db.session.scalar(select(Role).where(Role.name == "Sender"))
    assert sender.rights == ["view", "start"]
    with transaction():
        users.get(maja.id).role = sender
    assert maja.can(Right.START)
    assert admin.post(f"/settings/roles/{sender.id}/delete").status_code == 409
    assert (
        admin.post(f"/settings/roles/{sender.id}", data={"name": "Sender", "rights": ["audience"]}).status_code == 303
    )
    db.session.expire_all()
    assert not maja.can(Right.START)
    assert last_entry().detail["rights"] == {"was": ["view", "start"], "is": ["view", "audience"]}
    with transaction():
        users.get(maja.id).role_id = role_id("Manager")
    assert admin.post(f"/settings/roles/{sender.id}/delete").status_code == 303


@pytest.mark.parametrize("wrong", [{"name": ""}, {"name": "marketer"}, {"rights": []}, {"rights": ["everything"]}])
def test_a_role_that_cannot_be_is_shown_again(admin, wrong):
    assert admin.post("/settings/roles/new", data={"name": "Sender", "rights": ["start"]} | wrong).status_code == 422


def test_built_in_roles_stay_as_they_are(admin):
    manager = role_id("Manager")
    assert admin.post(f"/settings/roles/{manager}", data={"name": "Manager", "rights": ["admin"]}).status_code == 422
    assert admin.post(f"/settings/roles/{manager}/delete").status_code == 409
    assert db.session.get(Role, manager).rights == ["view"]


def test_taking_the_right_from_a_role_leaves_an_administrator(admin, make_user):
    ingrid = users.by_address("ingrid@example.com")
    with transaction():
        role = roles.create(roles.RoleFacts(name="Owner", rights=["admin"]), by=ingrid, at=T0)
        ingrid.role = role
    with pytest.raises(Conflict), transaction():
        roles.change(role.id, to=roles.RoleFacts(name="Owner", rights=["view"]), by=ingrid, at=T0)


def test_a_folder_is_made_changed_and_deleted_while_it_is_empty(admin, maja, make_delivery):
    data = {"name": "Norway", "requires_approval": "y", "member_ids": [maja.id]}
    assert admin.post("/settings/folders/new", data=data).status_code == 303
    norway = db.session.scalar(select(Folder).where(Folder.name == "Norway"))
    assert norway.requires_approval
    assert folders.members(norway) == [maja]
    assert admin.post("/settings/folders/new", data={"name": "norway"}).status_code == 422
    make_delivery(folder=norway)
    assert admin.post(f"/settings/folders/{norway.id}/delete").status_code == 409
    assert admin.post(f"/settings/folders/{norway.id}", data={"name": "Norge"}).status_code == 303
    db.session.expire_all()
    assert (norway.name, norway.requires_approval, list(folders.members(norway))) == ("Norge", False, [])
    empty = folders.create
    with transaction():
        folder = empty(
            folders.FolderFacts(name="Sweden", requires_approval=False, member_ids=[]),
            by=users.by_address("ingrid@example.com"),
            at=T0,
        )
    assert admin.post(f"/settings/folders/{folder.id}/delete").status_code == 303


def test_what_is_in_another_folder_does_not_exist_for_a_limited_user(make_user, make_delivery):
    from webapp.deliveries.models import Delivery

    with transaction():
        norway, sweden = Folder(name="Norway"), Folder(name="Sweden")
        db.session.add_all([norway, sweden])
    for folder in (norway, sweden, None):
        make_delivery(
            folder=folder, label=folder.name if folder else "Nowhere", audience=folder.name if folder else "X"
        )
    limited = make_user("Manager", limited_to_folders=True, folders=[norway])
    free = make_user("Reviewer")
    shown = select(Delivery.label).order_by(Delivery.id)
    assert db.session.scalars(shown.where(folders.visible(limited, column=Delivery.folder_id))).all() == ["Norway"]
    assert len(db.session.scalars(shown.where(folders.visible(free, column=Delivery.folder_id))).all()) == 3
    folders.check(limited, folder_id=norway.id)
    for hidden in (sweden.id, None):
        with pytest.raises(NotFound):
            folders.check(limited, folder_id=hidden)
    assert list(folders.choices(limited)) == [norway]


def test_the_audit_log_is_filtered_paged_and_exported_without_formulas(admin, maja):
    with transaction():
        for number in range(60):
            audit.record("contacts-exported", by=maja, at=T0, address="10.0.0.9", count=number)
        audit.record("delivery-moved", by=None, at=T0, object_type="delivery", object_id=7, name="=HYPERLINK(1)")
    page = admin.get("/settings/audit").text
    assert "50 of 61" in page
    assert "Exported contacts" in admin.get("/settings/audit?page=2").text
    assert "1 of 1" in admin.get("/settings/audit?action=delivery-moved").text
    assert "of 60" in admin.get(f"/settings/audit?user={maja.id}").text
    assert "of 61" in admin.get("/settings/audit?since=2026-11-19&until=2026-11-19").text
    assert "none" in admin.get("/settings/audit?since=2026-11-20").text
    assert admin.get("/settings/audit?user=x&action=y&since=z&until=2026-13-45&page=-4").status_code == 200
    file = admin.get("/settings/audit/export?action=delivery-moved")
    assert file.mimetype == "text/csv"
    assert len(file.text.strip().splitlines()) == 2
    assert '"=' not in file.text
    assert last_entry().action == "audit-exported"


def test_users_are_found_by_a_part_of_their_name_and_percent_is_not_a_wildcard(admin, maja):
    assert "maja@example.com" in admin.get("/settings/users?q=MAJ").text
    assert "maja@example.com" not in admin.get("/settings/users?q=%25").text


def test_a_link_is_sent_again_to_who_was_invited_or_forgot_the_password_but_not_to_who_may_not_sign_in(admin, maja):
    assert admin.post(f"/settings/users/{maja.id}/invite").status_code == 303
    with transaction():
        db.session.get(User, maja.id).password_hash = "kept"
    assert admin.post(f"/settings/users/{maja.id}/invite").status_code == 303
    assert list(db.session.scalars(select(Letter.kind).order_by(Letter.id))) == ["invitation", "reset"]
    with transaction():
        db.session.get(User, maja.id).active = False
    assert admin.post(f"/settings/users/{maja.id}/invite").status_code == 409
