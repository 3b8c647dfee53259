"""What templates know beside Jinja's own: formats, assets, drawings, places to go."""

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from flask import Flask, current_app, request
from flask_wtf.csrf import generate_csrf
from jinja2 import StrictUndefined
from markupsafe import Markup

from webapp import clock
from webapp.web import drawing, i18n, navigation
from webapp.web.pages import same_page

FILTERS = (
    "number",
    "percent",
    "clock",
    "clock_seconds",
    "day",
    "moment",
    "duration",
    "about",
    "elapsed",
    "ago",
    "size",
)


def init_app(app: Flask) -> None:
    """Give templates their filters and functions; an unknown name in a template is an error, never an empty place."""
    env = app.jinja_env
    env.undefined = StrictUndefined
    env.trim_blocks = True
    env.lstrip_blocks = True
    env.filters.update({name: getattr(i18n, name) for name in FILTERS})
    env.filters.update(attributes=attributes, given=given, zip=zip)
    env.globals.update(
        asset=asset,
        csrf_field=csrf_field,
        csrf_token=csrf_token,
        language=i18n.language,
        timezone=i18n.timezone,
        theme=i18n.theme,
        may=i18n.may,
        share=i18n.share,
        now=clock.now,
        state_key=state_key,
        same_page=same_page,
        places=navigation.places,
        own_places=navigation.own_places,
        settings_places=navigation.settings_places,
        ledger_parts=drawing.ledger_parts,
        rounded_shares=drawing.rounded_shares,
        spark_path=drawing.spark_path,
        plot_paths=drawing.plot_paths,
    )


def attributes(given_attributes: Mapping[str, Any]) -> Markup:
    """Write HTML attributes: hx_get becomes hx-get; True stands alone, None and False are left out."""
    parts = []
    for name, value in given_attributes.items():
        if value is None or value is False:
            continue
        key = name.rstrip("_").replace("_", "-")
        parts.append(Markup(" {}").format(key) if value is True else Markup(' {}="{}"').format(key, value))
    return Markup("").join(parts)


def given(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return only what is not None."""
    return {name: value for name, value in values.items() if value is not None}


def csrf_token() -> str:
    """Return the session's token; a live fragment is the same for all viewers and carries none (app.js puts it in)."""
    return "" if i18n.current_lens() else str(generate_csrf())


def csrf_field() -> Markup:
    """Return the hidden field that every POST form needs."""
    return Markup('<input type="hidden" name="csrf_token" value="{}">').format(csrf_token())


def state_key(state: object) -> str:
    """Return a delivery's state as it stands in data-state."""
    return str(getattr(state, "value", state)).replace("_", "-")


def asset(name: str) -> str:
    """Return the URL of a file in static/, with a part that changes when the file does."""
    folder = Path(current_app.static_folder or "static")
    return (
        f"{request.script_root if request else ''}/static/{name}?v={_version(folder / name, _changed(folder / name))}"
    )


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


@lru_cache(maxsize=256)
def _version(path: Path, changed: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:10] if changed else "0"
