"""The list of deliveries, and how its rows move."""

from flask import Blueprint, render_template, request, url_for
from flask_login import current_user
from werkzeug.wrappers import Response

from webapp import clock
from webapp.accounts.folders import choices as folder_choices
from webapp.deliveries import listing
from webapp.deliveries.listing import Asked, Folders
from webapp.web import live
from webapp.web.htmx import go
from webapp.web.hub import Thing
from webapp.web.i18n import Lens, current_lens
from webapp.web.login import needs, person
from webapp.web.pages import Page, asked_slice

bp = Blueprint("deliveries", __name__)


@bp.get("/")
@needs("view")
def home() -> Response:
    """Lead to the list, which is where a day begins."""
    return go(url_for("deliveries.index"), status=302)


@bp.get("/deliveries")
@needs("view")
def index() -> str:
    """Show the list, or what to do when there is none yet."""
    asked, part, folders = asked_of_request(), asked_slice(), reader_folders()
    rows, total = listing.find(asked, folders=folders, at=clock.now(), offset=part.offset, limit=part.limit)
    counts = listing.counts(folders=folders)
    if not counts["all"] and not counts["archived"]:
        return render_template("deliveries/list_empty.html")
    return render_template(
        "deliveries/list.html",
        page=Page(rows, total, part.number, part.size),
        asked=asked,
        counts=counts,
        owners=listing.owners(folders=folders),
        folders=folder_choices(person()),
        summary=summary_of(folders),
    )


def asked_of_request() -> Asked:
    """Read the filters of this request; what is nonsense filters nothing."""
    kind = request.args.get("state", "all")
    return Asked(
        kind=kind if kind in listing.KINDS else "all",
        words=request.args.get("q", "").strip()[:200],
        owner_id=request.args.get("owner", type=int),
        folder_id=request.args.get("folder", type=int),
    )


def reader_folders() -> Folders:
    """Return the folders the reader is limited to: the signed-in user's, or those of the viewers of a live fragment."""
    lens = current_lens()
    if lens is not None:
        return lens.folders
    return frozenset(folder.id for folder in current_user.folders) if current_user.limited_to_folders else None


def summary_of(folders: Folders) -> dict[str, float]:
    """Say how much goes on: deliveries in progress, and messages a minute of all of them."""
    rows = listing.moving(folders=folders, at=clock.now())
    return {"moving": len(rows), "rate": sum(row.rate for row in rows)}


# ---- live


def may_watch(lens: Lens, delivery_id: int) -> bool:
    """A delivery may be watched by who may see it."""
    if "view" not in lens.rights:
        return False
    return lens.folders is None or listing.row(delivery_id, folders=lens.folders, at=clock.now()) is not None


live.watchable("delivery", may_watch)
live.watchable("deliveries", lambda lens, _number: "view" in lens.rights)
live.echo("delivery", ("deliveries", 0))


def _moving() -> list[Thing]:
    return [("delivery", delivery_id) for delivery_id in listing.moving_ids(at=clock.now())]


live.members("deliveries", _moving)


@live.fragment("delivery", "row", collection="deliveries")
def row(delivery_id: int) -> str | None:
    """Render a row of the list."""
    found = listing.row(delivery_id, folders=reader_folders(), at=clock.now())
    return render_template("deliveries/_row.html", row=found) if found else None


@live.fragment("deliveries", "summary")
def summary(_number: int) -> str:
    """Render what goes on, above the list."""
    return render_template("deliveries/_summary.html", summary=summary_of(reader_folders()))


@live.fragment("deliveries", "moved", quiet=True)
def moved(_number: int) -> str:
    """Tell the list that deliveries came, went or changed their state: it asks for itself again."""
    return listing.mark(folders=reader_folders())
