"""The settings of who may do what: users, roles, folders. For administrators."""

from collections.abc import Callable
from typing import Any

from flask import Blueprint, flash, render_template, request, url_for
from werkzeug.wrappers import Response

from webapp import clock
from webapp.accounts import folders as the_folders
from webapp.accounts import letters
from webapp.accounts import roles as the_roles
from webapp.accounts import users as the_users
from webapp.accounts.models import Role
from webapp.accounts.own_views import LANGUAGE_NAMES
from webapp.accounts.rights import RIGHT_WORDS, Right, role_name
from webapp.accounts.settings_forms import FolderForm, NewUserForm, RoleForm, UserForm
from webapp.accounts.views import links
from webapp.errors import Conflict, Invalid
from webapp.web import i18n
from webapp.web.forms import Form, shown_again
from webapp.web.htmx import go
from webapp.web.login import needs, person
from webapp.web.pages import Page, asked_slice
from webapp.words import _l, gettext

bp = Blueprint("settings", __name__, url_prefix="/settings")


@bp.get("")
@needs(Right.ADMIN)
def index() -> Response:
    """Lead to the first of the settings."""
    return go(url_for("settings.users"))


@bp.get("/users")
@needs(Right.ADMIN)
def users() -> str:
    """List the users."""
    q, part = request.args.get("q", "")[:200], asked_slice()
    found = the_users.everybody(q=q, limit=part.limit, offset=part.offset)
    page = Page(found, the_users.count(q), part.number, part.size)
    return render_template("settings/users.html", page=page, q=q)


@bp.route("/users/new", methods=["GET", "POST"])
@needs(Right.ADMIN)
def new_user() -> Response | str:
    """Make a user and invite them by mail to choose a password."""
    form = NewUserForm()
    _give_choices(form)
    form.locale.choices = [("", gettext("As the browser asks for")), *LANGUAGE_NAMES.items()]
    if request.method == "GET":
        return render_template("settings/user_new.html", form=form)

    def save() -> str:
        new = the_users.NewUser(
            email=form.email.data or "",
            name=form.name.data or "",
            role=the_roles.get(form.role_id.data).name,
            locale=form.locale.data or None,
            timezone=person().timezone,
            limited_to_folders=bool(form.limited_to_folders.data),
            folder_ids=form.folder_ids.data or (),
        )
        user = the_users.create(new, by=person(), **_now())
        letters.invite(user, links=links(), by=person(), language=i18n.language(), **_now())
        return str(gettext("A mail with a link is on its way to %(name)s.", name=user.name))

    return _saved(form, save, page="settings/user_new.html", then="settings.users")


@bp.route("/users/<int:user_id>", methods=["GET", "POST"])
@needs(Right.ADMIN)
def user(user_id: int) -> Response | str:
    """Change a user."""
    one = the_users.get(user_id)
    kept = {"folder_ids": [folder.id for folder in one.folders]}
    form = UserForm(obj=one, data=kept)
    _give_choices(form)
    if request.method == "GET":
        return render_template("settings/user.html", form=form, user=one)

    def save() -> str:
        to = the_users.Changes(
            name=form.name.data or "",
            email=form.email.data or "",
            role_id=form.role_id.data,
            limited_to_folders=bool(form.limited_to_folders.data),
            folder_ids=form.folder_ids.data or (),
        )
        the_users.change(user_id, to=to, by=person(), **_now())
        return str(gettext("%(name)s is saved.", name=to.name))

    return _saved(form, save, page="settings/user.html", then="settings.users", user=one)


@bp.post("/users/<int:user_id>/<any(activate, deactivate):what>")
@needs(Right.ADMIN)
def set_active(user_id: int, what: str) -> Response:
    """Let a user sign in, or no longer."""
    one = the_users.set_active(user_id, active=what == "activate", by=person(), **_now())
    done = gettext("%(name)s can sign in.", name=one.name)
    flash(done if one.active else gettext("%(name)s can no longer sign in, and is signed out.", name=one.name), "ok")
    return go(url_for("settings.users"))


@bp.post("/users/<int:user_id>/invite")
@needs(Right.ADMIN)
def invite(user_id: int) -> Response:
    """Send a link to choose a password: the invitation again, or for somebody who forgot theirs."""
    one = the_users.get(user_id)
    if not one.active:
        raise Conflict(_l("%(name)s may not sign in. Activate the user first.", name=one.name))
    if one.password_hash is None:
        letters.invite(one, links=links(), by=person(), language=i18n.language(), **_now())
    else:
        letters.ask_reset(one.email, links=links(), language=i18n.language(), asked_by=person(), **_now())
    flash(gettext("A mail with a link is on its way to %(name)s.", name=one.name), "ok")
    return go(url_for("settings.users"))


@bp.get("/roles")
@needs(Right.ADMIN)
def roles() -> str:
    """List the roles and what each lets people do."""
    return render_template("settings/roles.html", roles=the_roles.everything(), words=RIGHT_WORDS)


@bp.route("/roles/new", methods=["GET", "POST"])
@bp.route("/roles/<int:role_id>", methods=["GET", "POST"])
@needs(Right.ADMIN)
def role(role_id: int | None = None) -> Response | str:
    """Define a role, or change one that is not built in."""
    one: Role | None = the_roles.get(role_id) if role_id is not None else None
    form = RoleForm(obj=one)
    if request.method == "GET":
        return render_template("settings/role.html", form=form, role=one, words=RIGHT_WORDS)

    def save() -> str:
        facts = the_roles.RoleFacts(name=form.name.data or "", rights=form.rights.data or ())
        if one is None:
            the_roles.create(facts, by=person(), **_now())
        else:
            the_roles.change(one.id, to=facts, by=person(), **_now())
        return str(gettext("The role %(name)s is saved.", name=facts.name))

    return _saved(form, save, page="settings/role.html", then="settings.roles", role=one, words=RIGHT_WORDS)


@bp.post("/roles/<int:role_id>/delete")
@needs(Right.ADMIN)
def delete_role(role_id: int) -> Response:
    """Delete a role that nobody has."""
    the_roles.remove(role_id, by=person(), **_now())
    flash(gettext("The role is deleted."), "ok")
    return go(url_for("settings.roles"))


@bp.get("/folders")
@needs(Right.ADMIN)
def folders() -> str:
    """List the folders."""
    return render_template("settings/folders.html", folders=the_folders.everything())


@bp.route("/folders/new", methods=["GET", "POST"])
@bp.route("/folders/<int:folder_id>", methods=["GET", "POST"])
@needs(Right.ADMIN)
def folder(folder_id: int | None = None) -> Response | str:
    """Make or change a folder."""
    one = the_folders.get(folder_id) if folder_id is not None else None
    form = FolderForm(obj=one, data={"member_ids": [user.id for user in the_folders.members(one)] if one else []})
    form.member_ids.choices = [(user.id, user.name) for user in the_users.everybody() if user.active]
    if request.method == "GET":
        return render_template("settings/folder.html", form=form, folder=one)

    def save() -> str:
        facts = the_folders.FolderFacts(
            name=form.name.data or "",
            requires_approval=bool(form.requires_approval.data),
            member_ids=form.member_ids.data or (),
        )
        if one is None:
            the_folders.create(facts, by=person(), **_now())
        else:
            the_folders.change(one.id, to=facts, by=person(), **_now())
        return str(gettext("The folder %(name)s is saved.", name=facts.name))

    return _saved(form, save, page="settings/folder.html", then="settings.folders", folder=one)


@bp.post("/folders/<int:folder_id>/delete")
@needs(Right.ADMIN)
def delete_folder(folder_id: int) -> Response:
    """Delete a folder that is empty."""
    the_folders.remove(folder_id, by=person(), **_now())
    flash(gettext("The folder is deleted."), "ok")
    return go(url_for("settings.folders"))


def _saved(form: Form, save: Callable[[], str], *, page: str, then: str, **context: Any) -> Response:
    """Save and go on, or show the page again with what is wrong beside its field."""
    if not form.validate():
        return shown_again(page, form=form, **context)
    try:
        done = save()
    except (Invalid, Conflict) as problem:
        form.add_problem(problem if isinstance(problem, Invalid) else Invalid(problem.message))
        return shown_again(page, form=form, **context)
    flash(done, "ok")
    return go(url_for(then))


def _now() -> dict[str, Any]:
    """When and from where, for the audit log."""
    return {"at": clock.now(), "address": request.remote_addr}


def _give_choices(form: UserForm) -> None:
    form.role_id.choices = [(role.id, role_name(role.name)) for role, _holders in the_roles.everything()]
    form.folder_ids.choices = [(folder.id, folder.name) for folder in the_folders.choices(person())]
