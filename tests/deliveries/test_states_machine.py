"""Anybody does anything in any order: a delivery's state, its log of moves, its ledger and its tables stay right."""

from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import text

from tests.fixtures import T0
from webapp.db import db, transaction
from webapp.deliveries import confirm, control, ledger, moves, preparation, preparation_run, schedule
from webapp.deliveries.editing_guard import changed
from webapp.deliveries.models import Chunk, Move
from webapp.deliveries.moves import MOVES
from webapp.deliveries.states import State
from webapp.errors import Conflict, NotAllowed

WHO = st.sampled_from(("marketer", "supervisor", "reviewer"))
PREPARED = {State.READY, State.SCHEDULED, State.SENDING, State.PAUSED, State.STOPPED, State.FINISHED}


class Life(RuleBasedStateMachine):
    """One delivery, three people and the clock."""

    world: Any

    @initialize()
    def begin(self) -> None:
        self.world.number += 1
        self.delivery = self.world.make_delivery(size=3, audience=f"Audience {self.world.number}")
        self.id = self.delivery.id
        self.state, self.at, self.seen, self.edits, self.running = State.DRAFT, T0, None, 0, None

    def person(self, who: str) -> Any:
        return getattr(self.world.people, who)

    def attempt(self, verb: str, act: Callable[[], object], *, who: str | None, also: bool = True) -> bool:
        """Do something and compare with the table of moves; `also`: what else must hold for it to succeed."""
        entry = next((move for move in MOVES if move.verb == verb and move.source == self.state), None)
        right = next(move.right for move in MOVES if move.verb == verb)
        may = right is None or (who is not None and self.person(who).can(right))
        if entry and may and also:
            with transaction():
                act()
            self.state = entry.target
            self.world.reached.add(self.state)
            return True
        with pytest.raises(Conflict if may else NotAllowed), transaction():
            act()
        return False

    @rule(who=WHO)
    def prepare(self, who: str) -> None:
        if self.state == State.PREPARING and self.person(who).can("prepare"):
            with transaction():
                assert preparation.prepare(self.id, by=self.person(who), at=self.at) == self.running
            return
        found: list[int] = []
        if self.attempt(
            "prepare", lambda: found.append(preparation.prepare(self.id, by=self.person(who), at=self.at)), who=who
        ):
            self.running = found[0]

    @rule()
    def the_worker_runs(self) -> None:
        if self.running is None:
            return
        outcome = preparation_run.run(self.running, base_url="https://s.example", moment=lambda: self.at)
        if self.state == State.PREPARING:
            assert outcome == "done"
            self.state = State.READY
            self.world.reached.add(self.state)
        else:
            assert outcome == "stopped"  # a late or doubled job does nothing
        db.session.expire_all()

    @rule(who=WHO)
    def stop_preparation(self, who: str) -> None:
        self.attempt("stop preparation", lambda: preparation.stop(self.id, by=self.person(who), at=self.at), who=who)

    @rule(who=WHO)
    def edit(self, who: str) -> None:
        def act() -> None:
            changed(self.id, by=self.person(who), at=self.at)
            self.edits += 1
            self.delivery.subject = f"Edit {self.edits} {{{{ first_name }}}}"

        if self.state == State.DRAFT and self.person(who).can("prepare"):
            with transaction():
                act()
            return
        self.attempt("edit", act, who=who)

    @rule(planned=st.booleans())
    def things_take_their_usual_way(self, planned: bool) -> None:  # noqa: FBT001 - Hypothesis gives it by name
        if self.state in {State.DRAFT, State.PREPARING}:
            self.prepare("marketer")
            self.the_worker_runs()
        self.somebody_opens_the_dialog()
        (self.schedule if planned else self.send_now)("supervisor")

    @rule()
    def somebody_opens_the_dialog(self) -> None:
        prepared = preparation.current(self.delivery)
        if prepared is not None and prepared.fingerprint:
            self.seen = {"count": prepared.to_deliver, "fingerprint": prepared.fingerprint}

    def is_true_still(self) -> bool:
        prepared = preparation.current(self.delivery)
        return bool(prepared and self.seen and prepared.fingerprint == self.seen["fingerprint"])

    @rule(who=WHO)
    def send_now(self, who: str) -> None:
        if self.seen:
            self.attempt(
                "send now",
                lambda: confirm.send_now(self.id, by=self.person(who), at=self.at, **self.seen),
                who=who,
                also=self.is_true_still(),
            )

    @rule(who=WHO)
    def schedule(self, who: str) -> None:
        if self.seen:
            later = self.at + timedelta(hours=1)
            self.attempt(
                "schedule",
                lambda: schedule.schedule(
                    self.id, when=later, timezone="UTC", by=self.person(who), at=self.at, **self.seen
                ),
                who=who,
                also=self.is_true_still(),
            )

    @rule(hours=st.sampled_from((0.5, 1.0, 3.0)))
    def time_passes(self, hours: float) -> None:
        self.at += timedelta(hours=hours)
        planned = self.delivery.scheduled_at
        with transaction():
            went = schedule.start_due(self.id, at=self.at, missed_after=timedelta(hours=1))
        if self.state == State.SCHEDULED and self.at >= planned:
            missed = self.at - planned > timedelta(hours=1)
            assert went != missed
            self.state = State.READY if missed else State.SENDING
        else:
            assert not went

    @rule(who=WHO)
    def unschedule(self, who: str) -> None:
        self.attempt("unschedule", lambda: schedule.unschedule(self.id, by=self.person(who), at=self.at), who=who)

    @rule(who=WHO)
    def start(self, who: str) -> None:
        self.attempt("start", lambda: schedule.start(self.id, by=self.person(who), at=self.at), who=who)

    @rule(who=WHO)
    def pause(self, who: str) -> None:
        self.attempt("pause", lambda: control.pause(self.id, by=self.person(who), at=self.at), who=who)

    @rule(who=WHO)
    def resume(self, who: str) -> None:
        self.attempt("resume", lambda: control.resume(self.id, by=self.person(who), at=self.at), who=who)

    @rule(who=WHO)
    def stop(self, who: str) -> None:
        self.attempt("stop", lambda: control.stop(self.id, by=self.person(who), at=self.at), who=who)

    @rule()
    def trouble(self) -> None:
        self.attempt(
            "trouble", lambda: moves.move(self.id, "trouble", at=self.at, by=None, reason="relay_broken"), who=None
        )

    @rule()
    def all_is_sent(self) -> None:
        def act() -> None:
            moves.move(self.id, "all accounted for", at=self.at, by=None)
            waiting = ledger.read(self.id).waiting
            ledger.shift(self.id, at=self.at, waiting=-waiting, sent=waiting)
            db.session.query(Chunk).filter_by(delivery_id=self.id).delete()

        self.attempt("all accounted for", act, who=None)

    @invariant()
    def the_state_is_what_the_moves_say(self) -> None:
        db.session.expire_all()
        assert self.delivery.state == self.state
        log = db.session.query(Move).filter_by(delivery_id=self.id).order_by(Move.id).all()
        states = [State.DRAFT, *(row.to_state for row in log)]
        assert [row.from_state for row in log] == states[:-1]
        assert states[-1] == self.state

    @invariant()
    def the_ledger_balances_and_fits_the_state(self) -> None:
        found = ledger.read(self.id)
        assert found.difference == 0
        assert found.targeted == (3 if self.state in PREPARED else 0)
        chunks = db.session.query(Chunk).filter_by(delivery_id=self.id).count()
        assert chunks == (1 if found.waiting else 0)
        if self.state in {State.STOPPED, State.FINISHED}:
            assert found.remaining == 0

    @invariant()
    def only_what_is_prepared_now_takes_space(self) -> None:
        rows = db.session.execute(
            text("""
                SELECT relname FROM pg_class JOIN preparation
                ON relname IN ('message_' || preparation.id, 'target_' || preparation.id, 'verdict_' || preparation.id)
                WHERE preparation.delivery_id = :id
            """),
            {"id": self.id},
        )
        kept = [f"message_{self.delivery.preparation_id}"] if self.state in PREPARED else []
        assert [row.relname for row in rows] == kept


def test_whatever_people_do_a_delivery_stays_in_order(make_delivery, people, relay):
    world = SimpleNamespace(make_delivery=make_delivery, people=people, number=0, reached=set())

    class Here(Life):
        pass

    Here.world = world
    Here.__name__ = "Life"
    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=30,
            stateful_step_count=25,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert {State.READY, State.SENDING} <= world.reached
