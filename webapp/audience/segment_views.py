"""Segments: all of them, one with who fits it, the builder, deleting."""

import re
from typing import Any

from flask import Blueprint, flash, make_response, render_template, request, url_for
from werkzeug.wrappers import Response

from webapp import clock
from webapp.accounts.rights import Right
from webapp.audience import segments
from webapp.audience.conditions import kinds
from webapp.audience.forms import SegmentForm
from webapp.audience.models import Segment
from webapp.audience.segment_tree import DEEPEST, JOINS, Node, checked
from webapp.errors import Invalid
from webapp.web.forms import shown_again
from webapp.web.htmx import go
from webapp.web.login import needs, person
from webapp.words import gettext

bp = Blueprint("segments", __name__)
PATH = re.compile(r"0(\.\d{1,3}){0,5}", re.ASCII)


@bp.get("/segments")
@needs(Right.VIEW)
def index() -> str:
    """Show all segments."""
    return render_template("audience/segments.html", segments=segments.choices())


@bp.get("/segments/<int:segment_id>")
@needs(Right.VIEW)
def segment(segment_id: int) -> str:
    """Show what a segment asks and who fits it now."""
    return render_template("audience/segment.html", **page_of(segments.get(segment_id)))


def page_of(found: Segment) -> dict[str, Any]:
    """Return what the page of a segment shows."""
    exact = "exact" in request.args
    return {"segment": found, "tree": found.tree, "built": False, **words_of(), **answer_of(found.tree, exact=exact)}


@bp.route("/segments/new", methods=["GET", "POST"])
@needs(Right.AUDIENCE)
def new() -> Response | str:
    """Build a segment."""
    return _build(None)


@bp.route("/segments/<int:segment_id>/edit", methods=["GET", "POST"])
@needs(Right.AUDIENCE)
def edit(segment_id: int) -> Response | str:
    """Change what a segment asks."""
    return _build(segments.get(segment_id))


@bp.post("/segments/count")
@needs(Right.AUDIENCE)
def count() -> str:
    """Tell how many fit what is being built, and ten of them."""
    answer = checked_answer(tree_of_form(), exact="exact" in request.args)
    return render_template("audience/_segment_count.html", **answer, segment=None, built=True)


@bp.get("/segments/<int:segment_id>/count")
@needs(Right.VIEW)
def count_saved(segment_id: int) -> str:
    """Tell how many fit a segment, counted to the end."""
    found = segments.get(segment_id)
    return render_template(
        "audience/_segment_count.html", **answer_of(found.tree, exact=True), segment=found, built=False
    )


@bp.route("/segments/<int:segment_id>/delete", methods=["GET", "POST"])
@needs(Right.AUDIENCE)
def delete(segment_id: int) -> Response | str:
    """Ask, then delete a segment."""
    found = segments.get(segment_id)
    if request.method == "GET":
        return render_template("audience/segment.html", **page_of(found), ask="delete")
    segments.remove(found, by=person(), at=clock.now())
    flash(gettext("The segment is deleted."), "ok")
    return go(url_for("segments.index"))


def _build(found: Segment | None) -> Response | str:
    form = SegmentForm(obj=found, seen=found.updated_at.isoformat() if found else "")
    if request.method == "GET":
        tree = found.tree if found else {"join": "all", "of": []}
        return render_template("audience/segment_edit.html", **builder_of(form, found, tree))
    tree = tree_of_form()
    problems: dict[str, str] = {}
    overtaken = False
    act, _colon, path = request.form.get("act", "save").partition(":")
    if act != "save":
        near = _reshape(tree, act, path)
        return make_response(render_template("audience/segment_edit.html", **builder_of(form, found, tree, near=near)))
    try:
        sound = form.validate()
        checked(tree, by=person(), problems=problems)
        if sound:
            values = {"name": form.name.data or "", "description": form.description.data or "", "tree": tree}
            saved = _save(found, values, seen=form.seen.data)
            flash(gettext("Saved."), "ok")
            return go(url_for("segments.segment", segment_id=saved.id))
    except Invalid as problem:
        form.add_problem(problem)
        if found and isinstance(problem, segments.OvertakenError):
            form.seen.data, overtaken = found.updated_at.isoformat(), True
    shown = builder_of(form, found, tree, problems=problems, overtaken=overtaken)
    return shown_again("audience/segment_edit.html", **shown)


def _save(found: Segment | None, values: dict[str, Any], *, seen: str | None) -> Segment:
    if found is None:
        return segments.create(values.pop("name"), **values, by=person(), at=clock.now())
    segments.change(found, **values, seen=seen, by=person(), at=clock.now())
    return found


def builder_of(form: SegmentForm, found: Segment | None, tree: Node, **more: Any) -> dict[str, Any]:
    """Return what the builder shows."""
    context = {
        "form": form,
        "segment": found,
        "tree": tree,
        "problems": {},
        "deepest": DEEPEST,
        "near": "",
        "overtaken": False,
        **words_of(),
    }
    exact = request.form.get("act") == "look"
    return context | {"built": True} | checked_answer(tree, exact=exact) | more


def words_of() -> dict[str, Any]:
    """Return the kinds of conditions with what each may be about, for this user."""
    offered = {kind.code: dict(kind.choices(person())) for kind in kinds()}
    asked = {kind.code: kind.offered() for kind in kinds()}
    return {"kinds": {kind.code: kind for kind in kinds()}, "offered": offered, "asked": asked, "joins": JOINS}


def checked_answer(tree: Node, *, exact: bool = False) -> dict[str, Any]:
    """Return who fits a tree that may not be complete yet."""
    try:
        return answer_of(checked(tree, by=person()), exact=exact)
    except Invalid as problem:
        return {"look": None, "why": problem.message}


def answer_of(tree: Node, *, exact: bool) -> dict[str, Any]:
    """Return how many fit a sound tree, and ten of them; of very many about how many, unless the exact number is wanted."""
    return {"look": segments.look(tree, exact=exact), "why": None}


def tree_of_form() -> Node:
    """Read the tree as it was built; each node stands in the form under its path, parents first."""
    root: Node = {"join": "all", "of": []}
    made: dict[str, Node] = {}
    for path in request.form.getlist("node"):  # all of them: too many are refused, none is left out in silence
        if not PATH.fullmatch(path) or path in made:
            continue
        node = _node_of(path)
        parent = made.get(path.rpartition(".")[0])
        if path == "0" and "join" in node:
            root = node
        elif parent is None or "join" not in parent:
            continue
        else:
            parent["of"].append(node)
        made[path] = node
    return root


def _node_of(path: str) -> Node:
    form = request.form
    if f"{path}:join" in form:
        return {"join": form[f"{path}:join"], "of": []}
    kind, _colon, subject = form.get(f"{path}:about", "").partition(":")
    return {"kind": kind, "subject": subject, "op": form.get(f"{path}:op", ""), "value": form.get(f"{path}:value", "")}


def _reshape(tree: Node, act: str, path: str) -> str:
    """Add a condition or a group to the group at the path, or remove what stands there.

    Returns the path of what was added, else of the group that something was removed from: there the person goes on.
    """
    *way, last = [int(part) for part in path.split(".")] if PATH.fullmatch(path) else [-1]
    node: Node = {"join": "", "of": [tree]}
    parent: Node | None = None
    for step in [*way, last]:
        if step not in range(len(node.get("of", []))):
            return ""
        parent, node = node, node["of"][step]
    if act == "remove" and parent is not None and node is not tree:
        parent["of"].pop(last)
        return path.rpartition(".")[0]
    if act == "group" and "join" in node:
        node["of"].append({"join": "any" if node["join"] == "all" else "all", "of": []})
    elif act == "add" and "join" in node:
        _add(node, request.form.get(f"{path}:new", ""))
    else:
        return ""
    return f"{path}.{len(node['of']) - 1}" if node["of"] else path


def _add(group: Node, about: str) -> None:
    code, _colon, subject = about.partition(":")
    found = next((kind for kind in kinds() if kind.code == code), None)
    if found is not None:
        operators = found.offered().get(subject) or tuple(found.operators)
        group["of"].append({"kind": code, "subject": subject, "op": operators[0], "value": ""})
