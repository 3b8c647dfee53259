"""The live wall: every delivery in progress, on a screen for the office."""

from flask import Blueprint, render_template

from webapp import clock
from webapp.deliveries.views import reader_folders
from webapp.insight import wall
from webapp.web import live
from webapp.web.i18n import timezone
from webapp.web.login import needs

bp = Blueprint("wall", __name__)

live.watchable("wall", lambda lens, _number: "view" in lens.rights)
live.echo("delivery", ("wall", 0))


@bp.get("/wall")
@needs("view")
def index() -> str:
    """Show the wall."""
    return render_template("insight/wall.html", wall=_look())


@live.fragment("wall", "all")
def everything(_number: int) -> str:
    """Render the wall's figures and list."""
    return render_template("insight/_wall.html", wall=_look())


def _look() -> wall.Wall:
    return wall.look(folders=reader_folders(), timezone=timezone(), at=clock.now())
