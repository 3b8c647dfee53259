"""Topics: all of them, making, renaming, deleting."""

from flask import Blueprint, flash, render_template, request, url_for
from werkzeug.wrappers import Response

from webapp import clock
from webapp.accounts.rights import Right
from webapp.audience import topics
from webapp.audience.forms import TopicForm
from webapp.errors import Invalid
from webapp.web.forms import shown_again
from webapp.web.htmx import go
from webapp.web.login import needs, person
from webapp.words import gettext

bp = Blueprint("topics", __name__)


@bp.get("/topics")
@needs(Right.VIEW)
def index() -> str:
    """Show all topics."""
    return render_template("audience/topics.html", topics=topics.with_counts())


@bp.route("/topics/new", methods=["GET", "POST"])
@needs(Right.AUDIENCE)
def new() -> Response | str:
    """Make a topic."""
    form = TopicForm()
    if request.method == "GET":
        return render_template("audience/topic_edit.html", form=form, topic=None)
    try:
        if form.validate():
            words = form.description.data or ""
            topics.create(form.name.data or "", description=words, by=person(), at=clock.now())
            flash(gettext("The topic is there. Nobody is subscribed to it yet."), "ok")
            return go(url_for("topics.index"))
    except Invalid as problem:
        form.add_problem(problem)
    return shown_again("audience/topic_edit.html", form=form, topic=None)


@bp.route("/topics/<int:topic_id>", methods=["GET", "POST"])
@needs(Right.AUDIENCE)
def edit(topic_id: int) -> Response | str:
    """Rename a topic or change its description."""
    found = topics.get(topic_id)
    form = TopicForm(obj=found)
    if request.method == "GET":
        return render_template("audience/topic_edit.html", form=form, topic=found)
    try:
        if form.validate():
            words = form.description.data or ""
            topics.change(found, name=form.name.data or "", description=words, by=person(), at=clock.now())
            flash(gettext("Saved."), "ok")
            return go(url_for("topics.index"))
    except Invalid as problem:
        form.add_problem(problem)
    return shown_again("audience/topic_edit.html", form=form, topic=found)


@bp.route("/topics/<int:topic_id>/delete", methods=["GET", "POST"])
@needs(Right.AUDIENCE)
def delete(topic_id: int) -> Response | str:
    """Ask, then delete a topic."""
    found = topics.get(topic_id)
    if request.method == "GET":
        return render_template("audience/topics.html", topics=topics.with_counts(), ask=found)
    topics.remove(found, by=person(), at=clock.now())
    flash(gettext("The topic is deleted."), "ok")
    return go(url_for("topics.index"))
