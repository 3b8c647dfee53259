"""A preparation in processes of its own: stopped within a second, killed and begun again, pressed twice."""

import contextlib
from datetime import timedelta
from threading import Thread

import psutil
import pytest
from flask import current_app
from sqlalchemy import text

from tests.faults.installation import children, wait_until
from tests.faults.large import SLOW, found, make_large, messages, press
from webapp import clock
from webapp.accounts.models import User
from webapp.db import db, transaction
from webapp.deliveries import ledger, preparation
from webapp.deliveries.editing_guard import changed
from webapp.deliveries.models import Delivery, Preparation
from webapp.deliveries.pulse import LOCK
from webapp.errors import Conflict
from webapp.local.execute import start_time

pytestmark = pytest.mark.faults

#: What keeps a preparation in a stage for as long as it is held. (The stage Check asks the database for nothing.)
HELD = {
    "target": "LOCK list_member IN ACCESS EXCLUSIVE MODE",
    "rules": "LOCK subscription IN ACCESS EXCLUSIVE MODE",
    "personalise": "LOCK message IN ACCESS EXCLUSIVE MODE",
    "freeze": "LOCK chunk IN ACCESS EXCLUSIVE MODE",
    "freeze, at its end": "SELECT FROM delivery FOR NO KEY UPDATE",
}


@pytest.fixture
def large(installation):
    """Return (delivery id, user id): a draft to so many that other processes try its messages."""
    return make_large()


@pytest.fixture
def slow(large):
    """Make trying the messages take seconds: every one has loops to run."""
    with transaction():
        db.session.get(Delivery, large[0]).html = SLOW
    return large


def personalising(preparation_id):
    return (found(preparation_id)[1]["personalise"]["count"] or 0) > 0


def words(process):
    """Return its command line; none when it is gone."""
    with contextlib.suppress(psutil.Error):
        return process.cmdline()
    return []


def tables():
    with transaction():
        rows = db.session.execute(
            text(
                "SELECT relname FROM pg_class WHERE relkind = 'r' AND relname ~ '^(message|exclusion|target|verdict|wanted)_[0-9]+$'"
            )
        )
        return sorted(row.relname for row in rows)


def test_stop_preparation_works_at_once_and_leaves_nothing(installation, slow):
    installation.start("jobs.worker", "prepare")
    preparation_id = press(slow)
    wait_until(lambda: personalising(preparation_id))
    with transaction():
        preparation.stop(slow[0], by=db.session.get(User, slow[1]), at=clock.now())
    wait_until(lambda: tables() == [])
    wait_until(lambda: locks() == 0)
    assert found(preparation_id)[0] == "stopped"
    with transaction():
        assert ledger.read(slow[0]).targeted == 0


def beating():
    """Count the workers that have a preparation."""
    query = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = :lock"
    with transaction():
        return db.session.scalar(text(query), {"lock": LOCK})


def locks():
    with transaction():
        return db.session.scalar(text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"))


@contextlib.contextmanager
def held(large, stage):
    """Press Prepare, start a worker, and hold it in a stage while the block runs; yield the preparation and the worker."""
    installation, delivery = large[2], large[:2]
    preparation_id = press(delivery)
    with db.engine.connect() as connection:
        connection.execute(text(HELD[stage]))
        worker = installation.start("jobs.worker", "prepare")
        name = stage.partition(",")[0]
        wait_until(lambda: waiting() == 1 and found(preparation_id)[1][name]["status"] == "current")
        yield preparation_id, worker


def waiting():
    """Count the statements that wait for what is held."""
    with transaction():
        return db.session.scalar(text("SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted"))


def test_a_worker_killed_in_any_stage_leaves_nothing_and_the_next_ends_with_the_same_result(installation, large):
    preparation_id = press(large)
    worker = installation.start("jobs.worker", "prepare")
    wait_until(lambda: found(preparation_id)[0] == "done")
    undisturbed, contents = found(preparation_id)[2], messages(large)
    installation.kill(worker)
    for stage in HELD:
        with held((*large, installation), stage) as (preparation_id, worker):
            installation.kill(worker)
            wait_until(lambda: beating() == 0)
            assert found(preparation_id)[0] == "running"
            with transaction():
                assert preparation.sweep(at=clock.now()) == []
                assert preparation.sweep(at=clock.now() + timedelta(seconds=25)) == [preparation_id]
            second = installation.start("jobs.worker", "prepare")  # while what the first had begun still is under way
            wait_until(lambda: waiting() == 2)
        wait_until(lambda: found(preparation_id)[0] != "running")
        installation.kill(second)
        assert (stage, *found(preparation_id)[::2]) == (stage, "done", undisturbed)
        assert messages(large) == contents
        assert tables() == [f"exclusion_{preparation_id}", f"message_{preparation_id}"]


def test_stop_preparation_works_in_any_stage_and_leaves_nothing(installation, large):
    for stage in HELD:
        if stage == "freeze, at its end":
            continue  # Stop preparation itself would wait for what holds it there
        with held((*large, installation), stage) as (preparation_id, worker):
            with transaction():
                preparation.stop(large[0], by=db.session.get(User, large[1]), at=clock.now())
            wait_until(lambda: (waiting(), locks(), tables()) == (0, 0, []))
            assert (stage, found(preparation_id)[0]) == (stage, "stopped")
        installation.kill(worker)


def test_a_worker_killed_while_messages_are_tried_leaves_no_process_and_the_next_ends_with_the_same_result(
    installation, slow
):
    worker = installation.start("jobs.worker", "prepare")
    preparation_id = press(slow)
    assert press(slow) == preparation_id
    wait_until(lambda: personalising(preparation_id))
    trying = [one for one in children(worker.pid) if "webapp.content.making" in words(one)]
    installation.kill(worker)
    assert found(preparation_id)[0] == "running"
    wait_until(lambda: not any(start_time(one.pid) for one in trying))
    wait_until(lambda: (tables(), locks()) == ([], 0))
    with transaction():
        preparation.sweep(at=clock.now() + timedelta(seconds=25))
    installation.start("jobs.worker", "prepare")
    wait_until(lambda: found(preparation_id)[0] == "done")
    second = press(slow)
    wait_until(lambda: found(second)[0] == "done")
    assert found(second)[2] == found(preparation_id)[2]
    assert tables() == [f"exclusion_{second}", f"message_{second}"]


def test_presses_and_edits_at_the_same_moment_make_one_preparation_of_one_content(installation, large):
    app = current_app._get_current_object()
    outcomes = []

    def meanwhile(verb):
        with app.app_context():
            try:
                outcomes.append(verb())
            except Conflict:
                outcomes.append("refused")

    def edit():
        with transaction():
            changed(large[0], by=db.session.get(User, large[1]), at=clock.now())
            db.session.get(Delivery, large[0]).subject = "Edited"
        return "edited"

    threads = [Thread(target=meanwhile, args=(verb,)) for verb in [lambda: press(large), edit] * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pressed = {outcome for outcome in outcomes if isinstance(outcome, int)}
    assert len(pressed) == 1
    assert set(outcomes) - pressed <= {"refused", "edited"}
    installation.start("jobs.worker", "prepare")
    wait_until(lambda: found(*pressed)[0] == "done")
    with transaction():
        frozen = db.session.get(Preparation, *pressed).frozen
        assert frozen["subject"] == db.session.get(Delivery, large[0], populate_existing=True).subject
        assert frozen["subject"] == ("Edited" if "edited" in outcomes else "Hello")
