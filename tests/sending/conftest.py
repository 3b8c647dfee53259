"""A sending job that is run at once."""

import time
from datetime import timedelta

import pytest

from tests.fixtures import T0
from webapp.db import transaction
from webapp.sending import work
from webapp.sending.run import Run, Terms


@pytest.fixture
def go(database, tmp_path, monkeypatch):
    """Run a sending job for a delivery from a given moment on, with little patience."""
    monkeypatch.setattr("webapp.sending.troubles.PATIENCE_SECONDS", 0.2)

    def run(order, *, at=T0, seconds=600.0, hurried=False, leaving=lambda: False):
        begun = time.monotonic()

        def clock():
            return at + timedelta(seconds=time.monotonic() - begun)

        with transaction():
            job = work.load(order.delivery_id, at=clock())
        if job is None:
            return "nothing"
        terms = Terms(clock=clock, journal=tmp_path, worker="test", seconds=seconds, leaving=leaving)
        if hurried:
            terms.least_seconds, terms.hurried = 0.0, lambda: True
        ending = Run(job, terms).go()
        if ending == "dry":
            with transaction():
                work.finish(order.delivery_id, at=clock())
        return ending

    return run
