"""Typologies and rules, for administrators: what is left out, in which order, and what a rule would do to a list."""

from flask import Blueprint, flash, render_template, request, url_for
from sqlalchemy import func, select
from werkzeug.wrappers import Response

from webapp import clock
from webapp.accounts.rights import Right
from webapp.audience import lists, topics
from webapp.db import db
from webapp.deliveries import rulebook
from webapp.deliveries.models import Delivery
from webapp.deliveries.typology_forms import LEVEL_WORDS, RuleForm, TypologyForm
from webapp.errors import Invalid, NotFound
from webapp.rules import causes, typologies
from webapp.rules.causes import Cause
from webapp.rules.kinds import KINDS, OWN
from webapp.rules.models import Rule, Typology
from webapp.web.forms import shown_again
from webapp.web.htmx import go
from webapp.web.login import needs, person
from webapp.words import _l, gettext, ngettext

bp = Blueprint("typologies", __name__, url_prefix="/settings/typologies")


@bp.get("")
@needs(Right.ADMIN)
def index() -> str:
    """List the typologies."""
    used = dict(db.session.execute(select(Delivery.typology_id, func.count()).group_by(Delivery.typology_id)).all())
    rows = [(one, used.get(one.id, 0) + (used.get(None, 0) if one.standard else 0)) for one in typologies.everything()]
    return render_template("rules/typologies.html", rows=rows)


@bp.route("/new", methods=["GET", "POST"])
@needs(Right.ADMIN)
def new() -> Response | str:
    """Make a typology with the rules of the standard one."""
    form = TypologyForm()
    if request.method == "GET":
        return render_template("rules/typology_new.html", form=form)
    if form.validate():
        try:
            made = typologies.create(form.name.data or "", by=person(), at=clock.now())
        except Invalid as problem:
            form.add_problem(problem)
        else:
            return go(url_for("typologies.typology", typology_id=made.id))
    return shown_again("rules/typology_new.html", form=form)


@bp.route("/<int:typology_id>", methods=["GET", "POST"])
@needs(Right.ADMIN)
def typology(typology_id: int) -> Response | str:
    """Show the rules of a typology in order; give it another name."""
    found = typologies.get(typology_id)
    form = TypologyForm(obj=found)
    groups = [[rule for rule in found.rules if bool(KINDS[rule.kind].checks) == about] for about in (False, True)]
    shown = {"typology": found, "groups": groups, "kinds": KINDS, "own": OWN, "levels": LEVEL_WORDS}
    if request.method == "GET":
        return render_template("rules/typology.html", form=form, **shown)
    if form.validate():
        try:
            typologies.rename(found, name=form.name.data or "", by=person(), at=clock.now())
        except Invalid as problem:
            form.add_problem(problem)
        else:
            flash(gettext("Saved."), "ok")
            return go(url_for("typologies.typology", typology_id=typology_id))
    return shown_again("rules/typology.html", form=form, **shown)


@bp.post("/<int:typology_id>/delete")
@needs(Right.ADMIN)
def delete(typology_id: int) -> Response:
    """Delete a typology that no delivery uses."""
    typologies.remove(typologies.get(typology_id), by=person(), at=clock.now())
    flash(gettext("Deleted."), "ok")
    return go(url_for("typologies.index"))


@bp.route("/<int:typology_id>/rules/new", methods=["GET", "POST"])
@needs(Right.ADMIN)
def new_rule(typology_id: int) -> Response | str:
    """Add a rule of the kind that was chosen."""
    found = typologies.get(typology_id)
    asked = request.args.get("kind", "")
    kind = next((one for one in OWN if one.code == asked), OWN[0])
    return _edit(RuleForm(kind=kind.code), found, kind.code, None)


@bp.route("/rules/<int:rule_id>", methods=["GET", "POST"])
@needs(Right.ADMIN)
def rule(rule_id: int) -> Response | str:
    """Change a rule."""
    found = typologies.rule(rule_id)
    form = RuleForm(kind=found.kind, data=RuleForm.shown(found))
    return _edit(form, typologies.get(found.typology_id), found.kind, found)


def _edit(form: RuleForm, found: Typology, kind: str, rule: Rule | None) -> Response | str:
    shown = {"typology": found, "kind": KINDS[kind], "rule": rule, "form": form}
    if request.method == "GET":
        return render_template("rules/rule.html", **shown)
    if form.validate():
        try:
            if rule is None:
                typologies.add_rule(found, kind, form.data, by=person(), at=clock.now())
            else:
                typologies.change_rule(rule, form.data, by=person(), at=clock.now())
        except Invalid as problem:
            form.add_problem(problem)
        else:
            return _changed(found.id)
    return shown_again("rules/rule.html", **shown)


@bp.post("/rules/<int:rule_id>/<action>")
@needs(Right.ADMIN)
def act(rule_id: int, action: str) -> Response:
    """Do one thing with a rule: up, down, on, off or delete."""
    found = typologies.rule(rule_id)
    typology_id = found.typology_id
    typologies.act(found, action, by=person(), at=clock.now())
    return _changed(typology_id)


def _changed(typology_id: int) -> Response:
    count = rulebook.changed(typology_id, by=person(), at=clock.now())
    flash(gettext("Saved."), "ok")
    if count:
        told = ngettext(
            "One prepared delivery is a draft again: it must be prepared by the new rules.",
            "%(num)s prepared deliveries are drafts again: they must be prepared by the new rules.",
            count,
        )
        flash(told, "warn")
    return go(url_for("typologies.typology", typology_id=typology_id))


@bp.get("/rules/<int:rule_id>/try")
@needs(Right.ADMIN)
def try_out(rule_id: int) -> str:
    """Show what a rule alone would leave out of a list; nothing is changed."""
    found = typologies.rule(rule_id)
    if KINDS[found.kind].checks:
        raise NotFound(_l("This rule looks at content, not at contacts: it shows on the pages of each delivery."))
    asks_topic = found.kind in {Cause.NOT_SUBSCRIBED, Cause.NO_CONSENT}
    list_id, topic_id = request.args.get("list", type=int), request.args.get("topic", type=int)
    outcome = None
    if list_id is not None and (topic_id is not None or not asks_topic):
        lists.get(list_id, by=person())
        outcome = rulebook.try_out(rule_id, list_id=list_id, topic_id=topic_id, at=clock.now())
    return render_template(
        "rules/try.html",
        rule=found,
        typology=typologies.get(found.typology_id),
        name=causes.words(found.kind, found.name),
        kind=KINDS[found.kind],
        told=causes.told,
        lists=lists.choices(by=person()),
        topics=topics.choices() if asks_topic else [],
        list_id=list_id,
        topic_id=topic_id,
        outcome=outcome,
    )
