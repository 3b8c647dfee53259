"""The pages where a delivery is made: new, Setup and Audience. Content and Test stand in files of their own."""

from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, flash, redirect, render_template, request
from sqlalchemy import func, select
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from webapp import clock
from webapp.accounts import audit, folders
from webapp.accounts.models import User
from webapp.accounts.rights import Right
from webapp.audience import segments
from webapp.audience.models import ContactList, ListMember, Topic
from webapp.content.starters import starters
from webapp.db import db
from webapp.deliveries import edit
from webapp.deliveries.access import get_delivery
from webapp.deliveries.facts import count_subscribed, facts_of
from webapp.deliveries.forms import NewForm, SetupForm
from webapp.deliveries.models import Delivery
from webapp.deliveries.moves import STATE_WORDS
from webapp.deliveries.states import State
from webapp.deliveries.steps import NAMES, field_href, step_href, steps
from webapp.errors import Invalid
from webapp.mail.models import Relay
from webapp.rules import typologies
from webapp.web import i18n
from webapp.web.forms import shown_again
from webapp.web.login import needs, person
from webapp.words import gettext

bp = Blueprint("editing", __name__, url_prefix="/deliveries")


def step_context(delivery: Delivery, here: str) -> dict[str, Any]:
    """Give what every page of a step shows: the delivery, the rail, what is missing, and whether it may be edited."""
    facts = facts_of(delivery)
    return {
        "delivery": delivery,
        "steps": steps(delivery, facts, here=here, number=i18n.number),
        "facts": facts,
        "here": here,
        "may_edit": edit.may_edit(delivery, by=person()),
        "state_word": STATE_WORDS[State(delivery.state)],
        "field_href": lambda field: field_href(delivery.id, field),
        "last_editor": person_name(delivery.last_editor_id),
    }


def person_name(user_id: int | None) -> str | None:
    """Give a user's name."""
    return db.session.scalar(select(User.name).where(User.id == user_id)) if user_id else None


def overtaken(form: Any, delivery: Delivery) -> bool:
    """Say whether somebody else saved meanwhile; then the form tells who, and saving it once more replaces theirs."""
    current, seen = delivery.updated_at.isoformat(), form.seen.data
    form.seen.data = current
    if not seen or seen == current or delivery.last_editor_id == person().id:
        return False
    who = person_name(delivery.last_editor_id) or gettext("Somebody else")
    form.form_errors.append(
        gettext("%(who)s saved changes here meanwhile. What you typed is kept: save again to replace theirs.", who=who)
    )
    return True


def after_save(delivery_id: int, step: str, *, sent: bool, was: str) -> Response:
    """Say what saving did, and go on: to the next step if that was asked for, else back to this one."""
    if sent and was != State.DRAFT:
        flash(gettext("Saved. The delivery was prepared before: prepare it again."), "warn")
    else:
        flash(gettext("Saved."), "ok")
    following = NAMES[NAMES.index(step) + 1] if "next" in request.form else step
    shown = {name: request.form[name] for name in ("as", "find") if request.form.get(name) and following == step}
    return redirect(step_href(delivery_id, following) + (f"?{urlencode(shown)}" if shown else ""), code=303)


def log_change(delivery: Delivery, action: str, **detail: Any) -> None:
    """Write the audit log."""
    audit.record(
        action,
        by=person(),
        at=clock.now(),
        object_type="delivery",
        object_id=delivery.id,
        address=request.remote_addr,
        label=delivery.label,
        **detail,
    )


@bp.get("/new")
@needs(Right.PREPARE)
def new() -> str:
    """Ask for a name and a beginning."""
    return render_template("deliveries/steps/new.html", form=NewForm(folders=_folders()), starters=starters())


@bp.post("/new")
@needs(Right.PREPARE)
def create() -> Response:
    """Make the draft and open its first step."""
    form = NewForm(folders=_folders())
    if form.validate():
        try:
            delivery = edit.create(
                form.label.data or "", start=form.start.data, folder_id=form.folder.data, by=person(), at=clock.now()
            )
        except Invalid as problem:
            form.add_problem(problem)
        else:
            log_change(delivery, "delivery-created")
            return redirect(step_href(delivery.id, "setup"), code=303)
    return shown_again("deliveries/steps/new.html", form=form, starters=starters())


@bp.get("/<int:delivery_id>/setup")
@needs(Right.VIEW)
def setup(delivery_id: int) -> str:
    """Show who sends what, and how."""
    delivery = get_delivery(delivery_id, by=person())
    form = SetupForm(None, data=SetupForm.shown(delivery), choices=_choices(delivery))
    return render_template("deliveries/steps/setup.html", form=form, **step_context(delivery, "setup"))


@bp.post("/<int:delivery_id>/setup")
@needs(Right.PREPARE)
def save_setup(delivery_id: int) -> Response:
    """Save the step; where the delivery is under way, only its name, folder and notes may differ."""
    delivery = get_delivery(delivery_id, by=person())
    was, free_only = delivery.state, not edit.may_edit(delivery, by=person())
    form = SetupForm(_free_fields(delivery) if free_only else request.form, choices=_choices(delivery))
    if form.validate() and not overtaken(form, delivery):
        values = {name: value for name, value in form.values().items() if name in edit.FREE or not free_only}
        try:
            sent = edit.change(delivery_id, values, by=person(), at=clock.now())
        except Invalid as problem:
            form.add_problem(problem)
        else:
            log_change(delivery, "delivery-changed", step="setup")
            return after_save(delivery_id, "setup", sent=sent, was=was)
    return shown_again("deliveries/steps/setup.html", form=form, **step_context(delivery, "setup"))


def _free_fields(delivery: Delivery) -> MultiDict[str, str]:
    """Give the form as it stands, with what may change in any state taken from the request: the rest was disabled."""
    given = {name: request.form[name] for name in (*SetupForm.FREE, "seen") if name in request.form}
    return MultiDict({**SetupForm.as_text(delivery), **given})


@bp.get("/<int:delivery_id>/audience")
@needs(Right.VIEW)
def audience(delivery_id: int) -> str:
    """Show which lists the delivery goes to, in their order, and which it leaves out."""
    delivery = get_delivery(delivery_id, by=person())
    lists = _lists()
    chosen = {target.key for target in delivery.audience}
    own = {target.segment_id: segments.count(target.segment.tree) for target in delivery.segment_targets}
    return render_template(
        "deliveries/steps/audience.html",
        counts={f"list-{one.id}": count for one, count in lists} | {f"segment-{i}": count for i, count in own.items()},
        subscribed=count_subscribed(delivery) if delivery.topic else None,
        free=[(one, count) for one, count in lists if f"list-{one.id}" not in chosen],
        free_segments=[one for one in segments.choices() if f"segment-{one.id}" not in chosen],
        **step_context(delivery, "audience"),
    )


@bp.post("/<int:delivery_id>/audience")
@needs(Right.PREPARE)
def save_audience(delivery_id: int) -> Response:
    """Do one thing with one list or segment: include, exclude, remove, up or down."""
    delivery = get_delivery(delivery_id, by=person())
    was = delivery.state
    action, _colon, key = request.form.get("act", "").partition(":")
    kind, _dash, number = (key or request.form.get("list", "")).rpartition("-")
    list_id = int(number) if number.isdecimal() else None
    if action not in {"include", "exclude", "remove", "up", "down"} or list_id is None:
        flash(gettext("Choose a list or segment first."), "warn")
        return redirect(step_href(delivery_id, "audience"), code=303)
    edit.change_audience(delivery_id, action, list_id, kind=kind or "list", by=person(), at=clock.now())
    log_change(delivery, "delivery-changed", step="audience")
    if was != State.DRAFT:
        flash(gettext("Saved. The delivery was prepared before: prepare it again."), "warn")
    return redirect(f"/deliveries/{delivery_id}/audience#audience", code=303)


def _lists() -> list[tuple[ContactList, int]]:
    counted = select(ListMember.list_id, func.count().label("size")).group_by(ListMember.list_id).subquery()
    query = (
        select(ContactList, func.coalesce(counted.c.size, 0))
        .outerjoin(counted, counted.c.list_id == ContactList.id)
        .order_by(ContactList.name)
    )
    return [
        (audience, size) for audience, size in db.session.execute(query) if person().sees_folder(audience.folder_id)
    ]


def _folders() -> list[tuple[Any, str]]:
    own = [(folder.id, folder.name) for folder in folders.choices(person())]
    return own if person().limited_to_folders and own else [("", gettext("No folder")), *own]


def typology_choices() -> list[tuple[Any, Any]]:
    """Give the typologies of which one is chosen in Setup; none means the standard one."""
    usual, *others = typologies.everything()
    return [("", gettext("%(name)s (as usual)", name=usual.name)), *((one.id, one.name) for one in others)]


def _choices(delivery: Delivery) -> dict[str, list[tuple[Any, Any]]]:
    topics = db.session.execute(select(Topic.id, Topic.name).order_by(Topic.name)).all()
    relays = db.session.scalars(
        select(Relay).where(Relay.active | (Relay.id == delivery.relay_id)).order_by(Relay.name)
    )
    default = db.session.scalar(select(Relay.name).where(Relay.is_default, Relay.active))
    standard = gettext("The default relay (%(name)s)", name=default) if default else gettext("The default relay")
    shared = db.session.scalar(select(func.count()).select_from(Relay).where(Relay.active, Relay.weight > 0))
    if shared:
        standard = gettext("Shared out over the relays with a share")
    own = _folders()
    if delivery.folder and all(value != delivery.folder_id for value, _name in own):
        own.append((delivery.folder.id, delivery.folder.name))
    return {
        "folder": own,
        "topic": [("", gettext("Choose a topic")), *((row.id, row.name) for row in topics)],
        "typology": typology_choices(),
        "relay": [("", standard), *((relay.id, relay.name) for relay in relays)],
    }
