"""The first large import builds the indexes of contacts afterwards: nobody who reads waits for it, and they come back whatever happens."""

import pytest
from sqlalchemy import text

from tests.faults.test_import_kill import begin, look
from webapp import clock
from webapp.audience import bulk, importing, imports
from webapp.db import db, transaction

pytestmark = pytest.mark.faults

INDEXES = text("SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'contact' ORDER BY indexname")


def indexes():
    with transaction():
        return [tuple(row) for row in db.session.execute(INDEXES)]


@pytest.fixture
def before(installation, monkeypatch):
    """Return the indexes that contacts have, one of an attribute among them; a few hundred rows are a large import here."""
    monkeypatch.setattr(bulk, "LEAST", 100)
    monkeypatch.setattr("tests.faults.test_import_kill.ROWS", 300)
    with transaction():
        db.session.execute(text("CREATE INDEX ix_contact_attribute_1 ON contact (lower(attributes ->> 'city'))"))
    return indexes()


def test_contacts_are_read_while_their_indexes_are_built_and_are_the_same_afterwards(before, monkeypatch):
    restore, seen = bulk.restore, []

    def look_from_outside(table, **more):
        built = restore(table, **more)
        if built:
            with db.engine.connect() as other:  # nothing of the import is committed yet
                other.execute(text("SET statement_timeout = '60s'"))
                seen.append((built, other.scalar(text("SELECT count(*) FROM contact"))))
        return built

    monkeypatch.setattr(bulk, "restore", look_from_outside)
    import_id = begin()
    assert importing.run(import_id, clock=clock.now)
    assert seen == [(len(before) - 2, 0)]  # all but the two that keep values apart
    assert look(import_id).counts["created"] == 299
    assert indexes() == before


def test_indexes_come_back_when_the_import_comes_to_nothing(before, monkeypatch):
    class PowerCutError(Exception):
        pass

    def cut(*_args, **_more):
        raise PowerCutError

    monkeypatch.setattr(importing, "merge", cut)
    import_id = begin()
    with pytest.raises(PowerCutError):
        importing.run(import_id, clock=clock.now)
    assert len(indexes()) == 2
    with transaction():
        assert imports.keep_indexes() == 0  # the import goes on
        imports.cancel(imports.get(import_id), at=clock.now())
        assert imports.keep_indexes() == len(before) - 3  # that of the attribute is the business of search_indexes
    assert indexes() == [one for one in before if one[0] != "ix_contact_attribute_1"]


def test_an_import_that_follows_one_that_came_to_nothing_builds_them(before, monkeypatch):
    merge = importing.merge
    monkeypatch.setattr(importing, "merge", lambda *_args, **_more: 1 / 0)
    first = begin()
    with pytest.raises(ZeroDivisionError):
        importing.run(first, clock=clock.now)
    monkeypatch.setattr(importing, "merge", merge)
    assert importing.run(begin("y.no"), clock=clock.now)
    assert indexes() == [one for one in before if one[0] != "ix_contact_attribute_1"]


def test_who_reads_contacts_right_now_is_not_waited_for(before, monkeypatch):
    monkeypatch.setattr(bulk, "PATIENCE", "1ms")
    with db.engine.connect() as reader:
        reader.execute(text("SELECT count(*) FROM contact"))
        assert importing.run(begin(), clock=clock.now)
        assert indexes() == before
