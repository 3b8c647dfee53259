"""GET /healthz: one JSON object that says of each part whether it is up; 200 when all are, 503 naming what is not."""

from functools import lru_cache
from pathlib import Path

from alembic.script import ScriptDirectory
from flask import Blueprint, Response, current_app, jsonify
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from webapp import broker, queue
from webapp.db import db
from webapp.web.login import public

bp = Blueprint("health", __name__)

OK = "ok"


@bp.get("/healthz")
@public
def healthz() -> tuple[Response, int]:
    """Say what is up."""
    told = {"web": OK, **_database(), **_redis()}
    answer = jsonify(told)
    answer.headers["Cache-Control"] = "no-store"
    return answer, 200 if all(state == OK for state in told.values()) else 503


def _database() -> dict[str, str]:
    try:
        current = db.session.execute(text("SELECT version_num FROM alembic_version")).scalars().all()
    except SQLAlchemyError as problem:
        db.session.rollback()
        if "alembic_version" in str(problem):
            return {"database": OK, "migrations": "none has run"}
        return {"database": "does not answer", "migrations": "unknown"}
    wanted = _heads(str(Path(current_app.root_path) / "migrations"))
    return {"database": OK, "migrations": OK if set(current) == wanted else "not up to date"}


@lru_cache(maxsize=1)
def _heads(folder: str) -> frozenset[str]:
    return frozenset(ScriptDirectory(folder).get_heads())


def _redis() -> dict[str, str]:
    try:
        idle = queue.without_worker()
        scheduler = bool(broker.client().exists(queue.SCHEDULER))
    except broker.RedisError:
        return {"redis": "does not answer", "workers": "unknown", "scheduler": "unknown"}
    return {
        "redis": OK,
        "workers": f"none for {', '.join(idle)}" if idle else OK,
        "scheduler": OK if scheduler else "does not run",
    }
