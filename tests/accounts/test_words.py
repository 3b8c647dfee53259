"""What is written to the audit log or told to users is told in words."""

import ast
from pathlib import Path

import pytest
from sqlalchemy import func

from tests.fixtures import T0
from webapp.accounts import audit, notices
from webapp.accounts.models import AuditEntry
from webapp.db import db, transaction

ROOT = Path(__file__).resolve().parents[2]


def first_words(module: str, function: str, position: int) -> dict[str, str]:
    """Every literal that is given to the function at this place, with the file."""
    found = {}
    for path in [*ROOT.glob("webapp/**/*.py"), *ROOT.glob("jobs/*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == function):
                continue
            if not (isinstance(node.func.value, ast.Name) and node.func.value.id == module):
                continue
            given = node.args[position] if len(node.args) > position else None
            if isinstance(given, ast.Constant):
                found[given.value] = path.relative_to(ROOT).as_posix()
    return found


@pytest.mark.parametrize(
    ("module", "function", "position", "known"),
    [("audit", "record", 0, audit.ACTIONS), ("notices", "tell", 1, notices.KINDS)],
)
def test_everything_told_has_its_words(module, function, position, known):
    used = first_words(module, function, position)
    assert used
    assert {word: place for word, place in used.items() if word not in known} == {}


def test_an_entry_knows_where_its_request_came_from(app, client, make_user):
    user = make_user()
    before = db.session.query(func.max(AuditEntry.id)).scalar() or 0
    with transaction():
        audit.record("delivery-created", by=user, at=T0)
    client.post(
        "/sign-in", data={"email": "nobody@example.com", "password": "wrong"}, environ_base={"REMOTE_ADDR": "192.0.2.7"}
    )
    with transaction():
        audit.record("delivery-changed", by=user, at=T0)
    entries = db.session.query(AuditEntry).filter(AuditEntry.id > before).order_by(AuditEntry.id)
    assert [one.address for one in entries] == [None, "192.0.2.7", None]
