"""The scheduler's lanes: what takes long, fails or hangs in one of them holds up none of the others."""

import threading

import pytest

from jobs import schedule, send


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(schedule, "PAUSE", 0.01)


class Task:
    """A task that counts its runs; `gate` holds it up until it is set."""

    def __init__(self, *, gate=None, fails=False):
        self.runs = self.ends = 0
        self.begun = threading.Event()
        self.often = threading.Event()
        self._gate, self._fails = gate, fails

    def __call__(self):
        self.runs += 1
        self.begun.set()
        if self.runs >= 3:
            self.often.set()
        if self._gate is not None:
            self._gate.wait(60)
        self.ends += 1
        if self._fails:
            raise ValueError("this task always fails")


def test_a_task_that_takes_long_holds_up_only_its_own_lane(app):
    gate = threading.Event()
    slow, behind, aside = Task(gate=gate), Task(), Task()
    with schedule.running({"one": [(0, slow), (0, behind)], "other": [(0, aside)]}, app.app_context):
        assert slow.begun.wait(60)
        assert aside.often.wait(60)
        assert behind.runs == 0
        gate.set()


def test_a_task_that_fails_is_tried_again_and_the_next_one_runs(app):
    failing, behind = Task(fails=True), Task()
    with schedule.running({"one": [(0, failing), (0, behind)]}, app.app_context):
        assert failing.often.wait(60)
        assert behind.often.wait(60)


def test_at_the_end_what_has_begun_is_waited_for_and_nothing_more_begins(app, monkeypatch):
    gate = threading.Event()
    slow, behind = Task(gate=gate), Task()
    join = threading.Thread.join

    def open_and_join(thread, timeout=None):
        """It comes to its end only when it is waited for."""
        gate.set()
        join(thread, timeout)

    with schedule.running({"one": [(0, slow), (0, behind)]}, app.app_context):
        assert slow.begun.wait(60)
        monkeypatch.setattr(threading.Thread, "join", open_and_join)
    assert (slow.ends, slow.runs, behind.runs) == (1, 1, 0)


def test_nothing_else_runs_in_the_lane_that_rescues():
    [lane] = [lane for lane in schedule.LANES.values() if any(task is send.rescue for _, task in lane)]
    assert [task for _, task in lane] == [send.rescue]


def test_every_task_has_one_lane():
    tasks = [task for lane in schedule.LANES.values() for _, task in lane]
    assert len(tasks) == len(set(tasks))
    assert send.sweep in tasks
