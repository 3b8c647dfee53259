"""GET /healthz: one JSON object that says of each part whether it is up; 200 when all are, 503 naming what is not."""

import logging
from functools import lru_cache
from pathlib import Path

from alembic.script import ScriptDirectory
from flask import Blueprint, Response, current_app, jsonify
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from webapp import broker, queue
from webapp.db import db
from webapp.web.login import public

bp = Blueprint("health", __name__)

OK = "ok"
log = logging.getLogger(__name__)


@bp.get("/healthz")
@public
def healthz() -> tuple[Response, int]:
    """Say what is up."""
    told = {"web": OK, **_database(), **_redis()}
    answer = jsonify(told)
    answer.headers["Cache-Control"] = "no-store"
    return answer, 200 if all(state == OK for state in told.values()) else 503


def _database() -> dict[str, str]:
    """Whatever is wrong with the database, this page answers."""
    try:
        current = set(db.session.execute(text("SELECT version_num FROM alembic_version")).scalars())
        db.session.rollback()
    except ProgrammingError:
        db.session.rollback()
        return {"database": OK, "migrations": "none has run"}
    except Exception as problem:  # noqa: BLE001 - as above
        log.warning("The database does not answer: %s", problem)
        db.session().invalidate()
        return {"database": "does not answer", "migrations": "unknown"}
    wanted = _heads(str(Path(current_app.root_path) / "migrations"))
    return {"database": OK, "migrations": OK if current == wanted else "not up to date"}


@lru_cache(maxsize=1)
def _heads(folder: str) -> frozenset[str]:
    return frozenset(ScriptDirectory(folder).get_heads())


def _redis() -> dict[str, str]:
    try:
        idle = queue.without_worker()
        scheduler = bool(broker.quick().exists(queue.SCHEDULER))
    except Exception as problem:  # noqa: BLE001 - as above
        log.warning("Redis does not answer: %s", problem)
        return {"redis": "does not answer", "workers": "unknown", "scheduler": "unknown"}
    return {
        "redis": OK,
        "workers": f"none for {', '.join(idle)}" if idle else OK,
        "scheduler": OK if scheduler else "does not run",
    }
