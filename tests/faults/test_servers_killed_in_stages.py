"""PostgreSQL or Redis dies in any stage of a preparation, or while it waits for a worker: it ends by itself, as if nothing had been."""

import contextlib
import signal

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from tests.faults.installation import Installation, wait_until
from tests.faults.large import found, make_large, messages, press
from tests.faults.test_preparation import HELD, waiting
from tests.faults.test_servers_killed import SERVERS, kill
from webapp.db import db

pytestmark = pytest.mark.faults

WORKER = "worker-prepare"
#: In these the database is asked for nothing else. (That of Personalise, killed as it runs, is in test_servers_killed.)
STAGES = ["target", "rules", "freeze", "freeze, at its end"]


@pytest.fixture(scope="module")
def sendoff(tmp_path_factory):
    with Installation(tmp_path_factory.mktemp("stages")) as installation:
        yield installation


@pytest.fixture(scope="module")
def prepared(sendoff):
    """A delivery that has been prepared undisturbed, its fingerprint and its messages."""
    large = make_large()
    preparation_id = press(large)
    wait_until(lambda: found(preparation_id)[0] == "done")
    return large, found(preparation_id)[2], messages(large)


@contextlib.contextmanager
def waiting_for_a_worker(sendoff, large):
    """Press Prepare while no worker takes it; yield the preparation."""
    sendoff.signal(WORKER, signal.SIGSTOP)
    try:
        yield press(large)
    finally:
        sendoff.signal(WORKER, signal.SIGCONT)


@contextlib.contextmanager
def held(sendoff, large, stage):
    """Have the preparation stand still in a stage, until PostgreSQL dies or the block ends; yield it."""
    with contextlib.suppress(DBAPIError), db.engine.connect() as connection:
        with waiting_for_a_worker(sendoff, large) as preparation_id:
            connection.execute(text(HELD[stage]))
        name = stage.partition(",")[0]
        wait_until(lambda: waiting() and found(preparation_id)[1][name]["status"] == "current")
        yield preparation_id


def ends_as_ever(preparation_id, prepared):
    large, fingerprint, contents = prepared
    wait_until(lambda: found(preparation_id)[0] != "running", seconds=120)
    assert found(preparation_id)[::2] == ("done", fingerprint)
    assert messages(large) == contents


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("stage", STAGES)
def test_a_preparation_ends_with_the_same_result_in_whatever_stage_a_server_is_killed(sendoff, prepared, server, stage):
    with held(sendoff, prepared[0], stage) as preparation_id:
        assert found(preparation_id)[0] == "running"
        kill(sendoff, server)
    ends_as_ever(preparation_id, prepared)


@pytest.mark.parametrize("server", SERVERS)
def test_a_preparation_that_waits_for_a_worker_is_made_although_a_server_is_killed(sendoff, prepared, server):
    with waiting_for_a_worker(sendoff, prepared[0]) as preparation_id:
        kill(sendoff, server)
    ends_as_ever(preparation_id, prepared)
