"""PostgreSQL or Redis dies while a delivery is prepared or a file is imported: it ends by itself, as if nothing had been."""

import os
import signal

import pytest
from sqlalchemy import func, select

from tests.faults.installation import Installation, wait_until
from tests.faults.large import SLOW, found, make_large, messages, press
from tests.faults.test_import_kill import ROWS, held, look
from webapp.audience.models import Contact
from webapp.db import db, transaction

pytestmark = pytest.mark.faults

SERVERS = ["postgres", "redis"]
#: What lost its worker is begun again after so many seconds, at the latest.
SILENCE = 35


@pytest.fixture(scope="module")
def sendoff(tmp_path_factory):
    with Installation(tmp_path_factory.mktemp("servers")) as installation:
        yield installation


@pytest.fixture(scope="module")
def prepared(sendoff):
    """A delivery that has been prepared undisturbed, its fingerprint and its messages."""
    large = make_large(SLOW)
    preparation_id = press(large)
    wait_until(lambda: found(preparation_id)[0] == "done")
    return large, found(preparation_id)[2], messages(large)


def kill(sendoff, server):
    """Kill a server, wait until its supervisor has started it again, and let the time pass until that is noticed."""
    before = sendoff.pid(server)
    os.kill(before, signal.SIGKILL)
    sendoff.again(server, before)
    sendoff.set_clock(SILENCE)


def trying(preparation_id):
    status, stages, _fingerprint = found(preparation_id)
    assert status == "running"
    return (stages["personalise"]["count"] or 0) > 0


@pytest.mark.parametrize("server", SERVERS)
def test_a_preparation_ends_with_the_same_result_although_a_server_is_killed(sendoff, prepared, server):
    large, fingerprint, contents = prepared
    preparation_id = press(large)
    wait_until(lambda: trying(preparation_id))
    kill(sendoff, server)
    wait_until(lambda: found(preparation_id)[0] != "running", seconds=120)
    assert found(preparation_id)[::2] == ("done", fingerprint)
    assert messages(large) == contents


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("stage", ["reading", "merging"])
def test_an_import_ends_right_although_a_server_is_killed(sendoff, server, stage):
    domain = f"{stage}.{server}.example"
    with held(stage, domain) as import_id:
        kill(sendoff, server)
    wait_until(lambda: look(import_id).status not in {"queued", "running"}, seconds=120)
    ended = look(import_id)
    assert ended.status == "done"
    assert (ended.counts["created"], ended.counts["rejected"], ended.counts["rows"]) == (ROWS - 1, 1, ROWS)
    with transaction():
        ours = select(func.count()).select_from(Contact).where(Contact.email_norm.endswith(f"@{domain}"))
        assert db.session.scalar(ours) == ROWS - 1
