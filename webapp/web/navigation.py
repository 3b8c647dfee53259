"""Where a person can go from every page: what they may see, in one table."""

from dataclasses import dataclass
from typing import Any

from flask import current_app, request, url_for

from webapp.web import i18n
from webapp.words import _l, gettext

#: Endpoint, words, right, and the paths that belong to it.
MAIN: tuple[tuple[str, Any, str, tuple[str, ...]], ...] = (
    ("deliveries.index", _l("Deliveries"), "view", ("/deliveries",)),
    (
        "audience.index",
        _l("Contacts"),
        "view",
        (
            "/attributes",
            "/contacts",
            "/lists",
            "/imports",
            "/quarantine",
            "/segments",
            "/suppression",
            "/tags",
            "/topics",
        ),
    ),
    ("wall.index", _l("Live wall"), "view", ("/wall",)),
    ("settings.index", _l("Settings"), "admin", ("/settings",)),
)
OWN: tuple[tuple[str, Any, str], ...] = (
    ("own.profile", _l("Profile and time zone"), "person"),
    ("own.notices_list", _l("Notices"), "bell"),
    ("mailbox.index", _l("Caught mail"), "inbox"),
)
#: The tabs of the settings: endpoint, words and right.
SETTINGS: tuple[tuple[str, Any, str], ...] = (
    ("settings.users", _l("Users"), "admin"),
    ("settings.roles", _l("Roles"), "admin"),
    ("settings.folders", _l("Folders"), "admin"),
    ("relays.index", _l("Relays"), "admin"),
    ("limits.index", _l("Limits by domain"), "admin"),
    ("quiet.index", _l("Quiet hours"), "admin"),
    ("domains.index", _l("Sending domains"), "admin"),
    ("mailboxes.index", _l("Mailboxes"), "admin"),
    ("typologies.index", _l("Rules"), "admin"),
    ("audit.index", _l("Audit log"), "admin"),
)


@dataclass(frozen=True)
class Place:
    """A link of the navigation."""

    label: str
    href: str
    here: bool = False
    icon: str | None = None


def places() -> list[Place]:
    """Return the main navigation for this reader."""
    return [
        Place(str(label), url_for(endpoint), here=_here(url_for(endpoint), paths))
        for endpoint, label, right, paths in MAIN
        if endpoint in current_app.view_functions and i18n.may(right)
    ]


def own_places() -> list[Place]:
    """Return what stands in the menu of the user."""
    found = [
        Place(str(label), url_for(endpoint), icon=icon)
        for endpoint, label, icon in OWN
        if endpoint in current_app.view_functions and (endpoint != "mailbox.index" or _catches_mail())
    ]
    return found or [Place(gettext("Deliveries"), "/", icon="send")]


def settings_places() -> list[tuple[str, str, bool]]:
    """Return the tabs of the settings for this reader, as tabs() takes them."""
    found = [
        (str(label), url_for(endpoint))
        for endpoint, label, right in SETTINGS
        if endpoint in current_app.view_functions and i18n.may(right)
    ]
    return [(label, href, request.path == href or request.path.startswith(href + "/")) for label, href in found]


def _catches_mail() -> bool:
    """Whether the built-in relay is in use, so that there is a mailbox."""
    return bool(current_app.extensions["settings"].catchall_port)


def _here(href: str, paths: tuple[str, ...]) -> bool:
    return request.path == href or any(request.path == path or request.path.startswith(path + "/") for path in paths)
