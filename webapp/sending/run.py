"""One run of a sending job: claims messages, lets the loop send them, records what became of them, and stops when told.

Only this thread touches the database; no transaction is open while anything is on the wire.
"""

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from webapp import ids
from webapp.db import db, transaction
from webapp.deliveries import control
from webapp.deliveries.states import Outcome, State
from webapp.sending import claims, outcomes, postponed, seats, work
from webapp.sending.claims import Claim, Piece
from webapp.sending.journal import Journal, path_of
from webapp.sending.limits import Limits
from webapp.sending.lookout import Lookout
from webapp.sending.loop import Loop
from webapp.sending.outcomes import Batch
from webapp.sending.pacing import Pacer
from webapp.sending.stock import Hold, Stock, Told, less
from webapp.sending.troubles import Reason, judge
from webapp.sending.weather import Weather
from webapp.sending.work import Work
from webapp.sending.workshop import signing_threads

log = logging.getLogger(__name__)

# Each transaction costs the thread that drives the connections some milliseconds beside its own: so there are few.
RECORD_EVERY = 0.4
RECORD_AT = 2000
LIMITS_EVERY = 1.0
FILL_PAUSE = 0.25
RENEW_EVERY = 6.0
_TICK = 0.03
#: What is at hand lasts about this long; what one claim takes, at most.
_AT_HAND_SECONDS = 0.5
_MOST_CLAIMED = 5000
_FIRST_RATE = 500.0  # messages a second, as long as it is not known
_LONGEST_ANSWER = 200.0
_DATABASE_PATIENCE = 20.0


@dataclass(slots=True)
class Terms:
    """How a run goes about it.

    `hurried` says that others wait for this worker, `leaving` that it is being stopped; `alive` is told every second, and says
    whether anybody heard: else nobody can be asked to come next, and the run stays up to `most_seconds`.
    """

    clock: Callable[[], datetime]
    journal: Path
    worker: str
    seconds: float = 60.0
    most_seconds: float = 240.0
    least_seconds: float = 5.0
    hurried: Callable[[], bool] = field(default=lambda: False)
    leaving: Callable[[], bool] = field(default=lambda: False)
    alive: Callable[[], bool] = field(default=lambda: True)
    share: int = 1


class Run:
    """Sends one delivery for a while. `go()` returns why it ended: `dry`, `time`, `leaving`, `halted`, `quiet` or `trouble`."""

    def __init__(self, job: Work, terms: Terms) -> None:
        self._job = job
        self._terms = terms
        self._stock = Stock()
        way = job.way
        self._weather = Weather(way.tolerance.refusals, way.tolerance.believed)
        self._pacer = Pacer(way.relay_id, per_second=way.per_second, share=terms.share, by_domain=way.by_domain)
        self._limits = Limits(way.relay_id, self._pacer, way.domain)
        now = time.monotonic()
        self._recorded_at = self._renewed_at = self._filled_at = now
        self._asked_at = self._alive_at = now
        self._limited_at = self._fill_from = 0.0
        self._lookout = Lookout(job.order.delivery_id, way.tolerance)
        self._rate = _FIRST_RATE
        self._per_chunk = 100.0
        self._dry = False
        self._seated = True

    def go(self) -> str:
        """Work until there is nothing to do, time is up, the delivery is no longer to be sent, or the relay is in trouble."""
        started = time.monotonic()
        try:
            self._look()
            if self._limits.exhausted:
                return self._wait_for_tomorrow()
            self._fill()
            return self._go(started) if self._stock.open or not self._dry else "dry"
        finally:
            self._patiently(self._end_limits)

    def _go(self, started: float) -> str:
        self._loop = self._make_loop()
        self._loop.start()
        try:
            ending = self._work(started)
        finally:
            self._wind_down()
        return ending

    def _make_loop(self) -> Loop:
        way = self._job.way
        return Loop(
            way.target,
            connections=way.connections,
            stock=self._stock,
            maker=self._job.maker,
            weather=self._weather,
            pacer=self._pacer,
            signers=signing_threads(self._terms.share),
        )

    def _work(self, started: float) -> str:
        ending = ""
        while not ending:
            try:
                ending = self._turn(time.monotonic() - started)
            except DBAPIError:
                log.warning("The database does not answer", exc_info=True)
                db.session.remove()
                time.sleep(0.5)
                if time.monotonic() - self._alive_at > _DATABASE_PATIENCE:
                    raise
            else:
                self._alive_at = time.monotonic()
                time.sleep(_TICK)
        return ending

    def _turn(self, elapsed: float) -> str:
        self._record()
        self._look()
        if (reason := judge(self._weather) or self._lookout.too_many) is not None:
            return self._give_up(reason)
        if not self._loop.is_alive():
            raise RuntimeError("the sending loop has failed")
        if self._limits.exhausted:
            return self._wait_for_tomorrow()
        if ending := self._must_end():
            return ending
        if self._terms.leaving():
            return "leaving"
        if self._is_time(elapsed):
            return "time"
        self._renew()
        self._fill()
        if len(self._stock.kept) + len(self._stock.told) == self._stock.open:
            self._stock.tell_kept()  # nothing is under way that could tell what they mean
        dried_up = "dry" if self._dry else "switched" if self._job.way.share.spent else ""
        return "" if self._stock.open else dried_up

    def _is_time(self, elapsed: float) -> bool:
        if self._limits.outdated or not self._seated:
            return True
        now = time.monotonic()
        if now - self._asked_at < 1.0:
            return False
        self._asked_at = now
        heard = self._terms.alive()
        if elapsed > (self._terms.seconds if heard else self._terms.most_seconds):
            return True
        # Who left before it is known whether the relay fails would never find out, and nobody would be told.
        return self._weather.known and elapsed > self._terms.least_seconds and self._terms.hurried()

    def _give_up(self, reason: Reason) -> str:
        """Go on over another relay if this one is to blame and there is one, else pause with the reason."""
        self._loop.stop()
        delivery_id, at = self._job.order.delivery_id, self._terms.clock()
        relay_id, words = self._job.way.relay_id, str(reason.params.get("text", ""))
        with transaction():
            if work.fail_over(delivery_id, relay_id=relay_id, code=reason.code, text=words, at=at):
                return "switched"
            work.pause(delivery_id, code=reason.code, relay_id=relay_id, at=at, **reason.params)
        return "trouble"

    def _must_end(self) -> str:
        if self._lookout.due:
            with transaction():
                self._lookout.see_state()
        return self._lookout.ending

    # --- claiming ---

    def _fill(self) -> None:
        """Claim more when what is at hand does not last long."""
        now = time.monotonic()
        if not (number := self._wanted(now)):
            return
        self._filled_at = now
        order, token, at = self._job.order, ids.new_token(), self._terms.clock()
        journal: Journal | None = None
        try:
            with transaction():
                if work.state_of(order.delivery_id) not in work.WORKABLE:
                    self._dry = True
                    return
                spread = int(self._per_chunk * 2 * self._terms.share)
                claim = claims.claim(order, token=token, worker=self._terms.worker, limit=number, at=at, spread=spread)
                if claim is not None and claim.pieces:
                    self._per_chunk = max(1.0, len(claim.rows) / len(claim.pieces))
                claim = claim and self._put_off(claim, now=now)
                if claim is not None and claim.rows:
                    # Before the commit: whoever finds the claim finds its journal.
                    journal = Journal(path_of(self._terms.journal, token), [row.seq for row in claim.rows])
        except DBAPIError:
            raise  # it may have been committed and only the answer lost: whoever finds the claim needs its journal
        except BaseException:
            if journal is not None:
                journal.discard()
            raise
        self._dry = claim is None
        if claim is not None:
            self._limits.took()
        if claim is not None and journal is not None:
            self._take_in(claim, journal, since=now)

    def _wanted(self, now: float) -> int:
        """Return how many chunks to claim."""
        messages, share = min(self._rate * _AT_HAND_SECONDS, _MOST_CLAIMED), self._job.way.share
        resting = now < self._fill_from or (self._dry and now - self._filled_at < 1.0)
        if resting or share.spent or len(self._stock.waiting) > max(50, messages):
            return 0
        return max(1, int(min(messages + self._per_chunk, share.room) / self._per_chunk))

    def _put_off(self, claim: Claim, *, now: float) -> Claim:
        """Put back what would only wait here for its domain's turn; if that is most of it, claim less eagerly."""
        at = self._terms.clock()
        kept, put_off = self._limits.sort(claim.rows, at=at)
        if len(kept) * 2 < len(claim.rows):
            self._fill_from = now + FILL_PAUSE
        return postponed.postpone(self._job.order, claim, kept=kept, put_off=put_off, at=at)

    def _take_in(self, claim: Claim, journal: Journal, *, since: float) -> None:
        hold = Hold(claim.token, journal, 0.0, {piece.chunk_id: piece for piece in claim.pieces})
        hold.extend(since=since)
        self._stock.fill(hold, claim.rows)
        self._job.way.share.took(len(claim.rows))

    def _renew(self) -> None:
        now = time.monotonic()
        if now - self._renewed_at < RENEW_EVERY:
            return
        with transaction():
            at = self._terms.clock()
            kept = {
                hold.token: claims.renew(hold.token, chunk_ids=list(hold.remaining), at=at)
                for hold in self._stock.holds
            }
            self._seated = seats.keep(self._job.way.seats, at=at)
        self._renewed_at = now
        for hold in self._stock.holds:
            self._forget(hold, hold.remaining.keys() - kept[hold.token])
            hold.extend(since=now)
        self._drop_finished()

    def _forget(self, hold: Hold, chunk_ids: Iterable[int]) -> None:
        """Chunks that were taken from us: rescued while this process was away."""
        lost = set(chunk_ids)
        if lost:
            log.warning("%d chunks of delivery %d are no longer ours", len(lost), self._job.order.delivery_id)
            hold.lost = True
            hold.remaining.clear()

    # --- recording ---

    def _record(self, *, at_once: bool = False) -> None:
        now = time.monotonic()
        told = self._stock.told
        due = now - self._recorded_at > RECORD_EVERY or len(told) >= RECORD_AT or len(told) == self._stock.open
        if not told or not (due or at_once):
            return
        batch = [told.popleft() for _ in range(len(told))]
        self._rate = len(batch) / max(now - self._recorded_at, _TICK)
        self._recorded_at = now
        by_hold: dict[int, list[Told]] = defaultdict(list)
        for one in batch:
            by_hold[id(one.hold)].append(one)
        try:
            self._write(list(by_hold.values()))
        except BaseException:
            told.extendleft(reversed(batch))  # written when the database is back, or found in the journal
            raise

    def _write(self, groups: list[list[Told]]) -> None:
        after: list[tuple[Hold, dict[int, Piece]]] = []
        with transaction():
            for group in groups:
                hold = group[0].hold
                pieces = less(hold, group)
                outcomes.record(
                    self._job.order,
                    Batch([one.result for one in group], list(pieces.values())),
                    token=hold.token,
                    at=self._terms.clock(),
                )
                after.append((hold, pieces))
            self._lookout.see_state()
            if any(one.result.outcome is Outcome.FAILED for group in groups for one in group):
                self._lookout.see_returns()
        self._limits.recorded([one.result for group in groups for one in group])
        self._job.way.share.gave(sum(len(group) for group in groups))
        for hold, pieces in after:
            hold.remaining.update(pieces)
            for chunk_id in [chunk_id for chunk_id, piece in hold.remaining.items() if not piece.seqs]:
                del hold.remaining[chunk_id]
        self._drop_finished()

    def _drop_finished(self) -> None:
        for hold in [hold for hold in self._stock.holds if not hold.remaining]:
            self._stock.holds.remove(hold)
            if not hold.lost:
                hold.journal.discard()

    # --- ending ---

    def _wind_down(self) -> None:
        """Let what is on the wire come to its end, record it, and give back what nobody has touched."""
        self._loop.stop()
        until = time.monotonic() + _LONGEST_ANSWER
        while self._loop.is_alive() and time.monotonic() < until:
            self._patiently(self._keep_up)
            self._loop.join(_TICK)
        if self._loop.is_alive():
            return  # the leases run out and the journals tell
        self._stock.settle_kept(refuses_all=self._weather.stormy or not self._weather.took)
        while self._stock.told and time.monotonic() < until:
            self._patiently(lambda: self._record(at_once=True))
        self._patiently(self._give_back)

    def _keep_up(self) -> None:
        self._record()
        self._renew()

    def _patiently(self, step: Callable[[], object]) -> None:
        """Do a step; if the database is away, wait a little instead. Nothing is lost: the journals hold it."""
        try:
            step()
        except DBAPIError:
            log.warning("The database does not answer; what was sent is kept in the journal", exc_info=True)
            db.session.remove()
            time.sleep(0.5)

    def _give_back(self) -> None:
        """Let go of what nobody has touched. Where the journal knows of more than was recorded, the rescue settles it."""
        holds = [hold for hold in self._stock.holds if not hold.lost and hold.untouched]
        order, at = self._job.order, self._terms.clock()
        with transaction():
            for hold in holds:
                owned = claims.own_chunks(hold.token, chunk_ids=sorted(hold.remaining))
                claims.give_back(order, [piece for piece in hold.remaining.values() if piece.chunk_id in owned], at=at)
            if work.state_of(order.delivery_id) is State.STOPPED:
                control.cancel_unclaimed(order.delivery_id, at=at)
        for hold in holds:
            hold.remaining.clear()
        self._drop_finished()

    # --- limits and trouble ---

    def _look(self) -> None:
        """Learn what domains, the relay and the hour allow just now, and whether too many messages came back."""
        now = time.monotonic()
        if now - self._limited_at < LIMITS_EVERY:
            return
        delivery_id, at = self._job.order.delivery_id, self._terms.clock()
        with transaction():
            work.look(self._limits, delivery_id=delivery_id, at=at)
            self._job.way.share.look(held=self._stock.open, at=at)
            self._lookout.see_hour(at=at)
            self._lookout.see_returns()
        self._limited_at = now

    def _wait_for_tomorrow(self) -> str:
        """The relay, or the sending domain, has had its messages of today."""
        order, way = self._job.order, self._job.way
        with transaction():
            waits = work.wait_for_tomorrow(
                order.delivery_id, relay_id=way.relay_id, domain=way.domain, at=self._terms.clock()
            )
        return "tomorrow" if waits else "switched"

    def _end_limits(self) -> None:
        with transaction():
            seats.leave(self._job.way.seats)
            work.look(self._limits, delivery_id=self._job.order.delivery_id, at=self._terms.clock(), last=True)
            self._job.way.share.look(held=self._stock.open, at=self._terms.clock())
