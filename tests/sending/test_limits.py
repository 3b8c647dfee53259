from datetime import timedelta

import pytest
from sqlalchemy import text

from tests.fixtures import T0
from tests.sending.orders import check_balance, make_order
from webapp import ids
from webapp.db import db, transaction
from webapp.deliveries.models import Delivery
from webapp.mail import warmup
from webapp.mail.models import Relay
from webapp.mail.replies import Kind
from webapp.sending import claims, postponed, slowing
from webapp.sending.limits import Limits, asks_for_less
from webapp.sending.pacing import Answers, Pacer


def later(**wait):
    return T0 + timedelta(**wait)


def limits_of(order, **relay):
    found = db.session.get(Relay, db.session.get(Delivery, order.delivery_id).relay_id)
    with transaction():
        for name, value in relay.items():
            setattr(found, name, value)
    return Limits(found.id, Pacer(found.id, per_second=None, by_domain=found.by_domain))


def look(limits, *, fails=False, **wait):
    with transaction():
        found = limits.look(at=later(**wait))
        if fails:
            raise DatabaseAwayError
    return found


def claim(order, limits, *, at=T0, limit=10, fails=False):
    with transaction():
        found = claims.claim(order, token=ids.new_token(), worker="w", limit=limit, at=at)
        if found is None:
            return None
        kept, put_off = limits.sort(found.rows, at=at)
        left = postponed.postpone(order, found, kept=kept, put_off=put_off, at=at)
        if fails:
            raise DatabaseAwayError
    limits.took()
    return left


class DatabaseAwayError(Exception):
    """The claim was not committed."""


@pytest.fixture
def slow_order(database):
    """Fifty messages to a domain that was slowed to twelve a minute."""
    order = make_order(50)
    limits = limits_of(order)
    with transaction():
        for n in range(12):
            slowing.slow(
                limits.relay_id, domain="example.com", limit=None, said="421 4.7.0 slow", at=later(minutes=n / 3 - 4)
            )
    look(limits)
    return order, limits


@pytest.mark.parametrize(
    ("answers", "asks"),
    [
        (Answers(accepted=1000, asks="421 slow down"), True),
        (Answers(accepted=10, deferred=4), False),
        (Answers(accepted=10, deferred=5), True),
        (Answers(accepted=100, deferred=20), False),
    ],
)
def test_a_domain_asks_for_less_in_words_or_by_many_refusals(answers, asks):
    assert asks_for_less(answers) is asks


def test_a_policy_answer_slows_a_domain_down_for_every_process(database):
    order = make_order(3)
    one, other = limits_of(order), limits_of(order)
    look(one)
    one.pacer.told("googlemail.com", Kind.POLICY, code=421, text="4.7.28 slow down")
    other.pacer.told("gmail.com", Kind.POLICY, code=421, text="4.7.28 slow down")
    [news] = look(one, seconds=1)
    assert (news.name, news.per_minute, news.said) == ("Gmail", 600, "421 4.7.28 slow down")
    assert look(other, seconds=2) == []  # of the same cause
    assert other.pacer.rules.rate("gmail.com") == 600


def test_what_was_learnt_outlives_the_process_and_redis(database):
    from webapp import broker

    order = make_order(3)
    first = limits_of(order)
    first.pacer.told("example.com", Kind.POLICY, code=450, text="4.7.1 too fast")
    look(first)
    broker.client().flushdb()
    second = limits_of(order)
    look(second, seconds=5)
    assert second.pacer.rules.rate("example.com") == slowing.FIRST
    assert second.pacer.rules.rate("elsewhere.example") is None


def test_a_relay_that_paces_by_itself_has_no_limits_by_domain(database):
    limits = limits_of(make_order(3), by_domain=False)
    look(limits)
    assert limits.pacer.rules.rate("gmail.com") is None


def test_messages_of_a_slow_domain_are_put_back_with_a_time_and_burn_no_attempt(slow_order):
    order, limits = slow_order
    found = claim(order, limits)
    assert len(found.rows) == 6  # half a minute of twelve a minute
    figures = check_balance(order)
    assert (figures.sending, figures.waiting) == (6, 44)
    assert claim(order, limits) is None
    assert [(one.domain, one.count) for one in postponed.waiting(order.delivery_id)] == [("example.com", 44)]
    assert claim(order, limits_of(order), at=later(seconds=29)) is None
    assert len(claim(order, limits_of(order), at=later(seconds=31)).rows) == 44
    check_balance(order)


def test_what_is_put_back_is_not_in_the_chunk_it_came_from(slow_order):
    order, limits = slow_order
    found = claim(order, limits, limit=1)
    with transaction():
        claims.give_back(order, found.pieces, at=T0)
    again = claim(order, limits_of(order), at=later(seconds=31))
    assert sorted(row.seq for row in again.rows) == list(range(50))
    check_balance(order)


def test_what_has_been_answered_makes_room(slow_order):
    from webapp.deliveries.states import Outcome
    from webapp.sending.outcomes import Result

    order, limits = slow_order
    found = claim(order, limits, limit=1)
    limits.recorded([Result(r.seq, r.chunk_id, Outcome.SENT, 0, email=r.email) for r in found.rows[:2]])
    assert len(claim(order, limits, limit=1).rows) == 2


def test_a_claim_that_was_not_committed_holds_no_room_and_takes_no_turns(slow_order):
    order, limits = slow_order
    for _ in range(5):
        with pytest.raises(DatabaseAwayError):
            claim(order, limits, fails=True)
    assert len(claim(order, limits).rows) == 6
    due = db.session.scalars(text("SELECT not_before FROM chunk WHERE not_before IS NOT NULL")).all()
    assert set(due) == {later(seconds=30)}
    check_balance(order)


def test_other_domains_are_claimed_whole(database):
    order = make_order(50)
    limits = limits_of(order)
    look(limits)
    assert len(claim(order, limits).rows) == 50


def test_a_warm_up_grants_in_lots_and_says_when_the_day_is_used_up(database):
    order = make_order(3)
    limits = limits_of(order, plan=[12])
    look(limits)
    assert limits.pacer.unused == 5
    for expected in (5, 2):
        while limits.pacer.wait_for("example.com", 1.0) == 0:
            pass
        assert not limits.exhausted
        look(limits, seconds=1)
        assert limits.pacer.unused == expected
    while limits.pacer.wait_for("example.com", 1.0) == 0:
        pass
    look(limits, seconds=2)
    assert limits.exhausted


def test_what_was_granted_and_not_committed_lets_nothing_go(database):
    limits = limits_of(make_order(3), plan=[5])
    look(limits)
    while limits.pacer.wait_for("example.com", 1.0) == 0:
        pass
    with transaction():
        db.session.get(Relay, limits.relay_id).plan = [10]
    with pytest.raises(DatabaseAwayError):
        look(limits, seconds=1, fails=True)
    assert limits.pacer.unused == 0
    look(limits, seconds=2)
    assert limits.pacer.unused == 5


def test_a_run_gives_back_what_it_was_granted_and_did_not_use(database):
    limits = limits_of(make_order(3), plan=[12])
    look(limits)
    with transaction():
        limits.end(at=T0)
    assert warmup.used(db.session.get(Relay, limits.relay_id), at=T0) == 0
