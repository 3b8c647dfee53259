"""A worker is killed in the middle of an import: it is started over by itself, and nobody is imported twice."""

import contextlib
import io
import time

import pytest
from sqlalchemy import func, select, text

from webapp import clock
from webapp.accounts.models import Role, User
from webapp.audience import imports, uploads
from webapp.audience.merging import Wishes
from webapp.audience.models import Contact, Import
from webapp.db import db, transaction

pytestmark = pytest.mark.faults

ROWS = 60_000


def begin(domain="x.no"):
    lines = "E-post;Fornavn\n" + "".join(f"p{n}@{domain};Åse {n}\n" for n in range(ROWS - 1)) + "broken;Ola\n"
    with transaction():
        role = db.session.scalars(select(Role).where(Role.name == "Marketer")).one()
        user = User(email=f"m@{domain}", name="M", role_id=role.id, created_at=clock.now())
        db.session.add(user)
        db.session.flush()
        found = uploads.receive(io.BytesIO(lines.encode("cp1252")), filename="x.csv", by=user, at=clock.now())
        imports.map_columns(found, fields=found.mapping["fields"], wishes=Wishes(), by=user)
        imports.start(found, by=user, at=clock.now())
        return found.id


def look(import_id):
    with transaction():
        return db.session.execute(
            select(Import.status, Import.run_no, Import.counts).where(Import.id == import_id)
        ).one()


def wait_until(condition, seconds=90):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it took too long"
        time.sleep(0.02)


@contextlib.contextmanager
def held(stage, domain="x.no"):
    """Begin an import; yield its number while whoever works on it is held in the middle of a stage."""
    with db.engine.connect() as connection:
        if stage == "merging":
            connection.execute(text("LOCK contact IN SHARE MODE"))
        import_id = begin(domain)

        def is_held():
            connection.execute(text("SELECT FROM import WHERE id = :id FOR UPDATE"), {"id": import_id})
            return is_in_the_middle(import_id, stage) or connection.rollback()

        if stage == "merging":
            wait_until(lambda: is_in_the_middle(import_id, stage))
        else:
            wait_until(is_held)
        try:
            yield import_id
        finally:
            connection.invalidate()  # closed as it is: its server may have died


def is_in_the_middle(import_id, stage):
    counts = look(import_id).counts
    return counts.get("stage") == stage and counts.get("rows")


@pytest.mark.parametrize("stage", ["reading", "merging"])
def test_an_import_whose_worker_is_killed_goes_on_by_itself_and_ends_right(installation, stage):
    installation.start("jobs.schedule")
    worker = installation.start("jobs.worker", "imports")
    with held(stage) as import_id:
        installation.kill(worker)
        assert look(import_id).status == "running"
    installation.start("jobs.worker", "imports")
    wait_until(lambda: look(import_id).status == "done")
    found = look(import_id)
    assert found.run_no >= 2
    assert (found.counts["created"], found.counts["rejected"], found.counts["rows"]) == (ROWS - 1, 1, ROWS)
    with transaction():
        assert db.session.scalar(select(func.count()).select_from(Contact)) == ROWS - 1
        assert not db.session.scalars(text("SELECT 1 FROM pg_tables WHERE tablename LIKE 'import_staging%'")).all()
