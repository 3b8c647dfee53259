"""The table of moves: who may, from where, and that the page about it is current."""

from contextlib import suppress
from pathlib import Path

import pytest

from tests.fixtures import T0
from webapp.db import db, transaction
from webapp.deliveries import moves
from webapp.deliveries.models import Move
from webapp.deliveries.moves import MOVES
from webapp.deliveries.moves_page import page
from webapp.deliveries.states import FINAL, State
from webapp.errors import Conflict, NotAllowed, NotFound


class TakenBackError(Exception):
    """Rolls a move back, for the next one to be tried."""


VERBS = sorted({move.verb for move in MOVES})
ROLES = ("Administrator", "Delivery supervisor", "Marketer", "Reviewer", "Manager")


def test_the_page_about_moves_is_made_from_the_table():
    assert Path("docs/deliveries.md").read_text() == page(), (
        "run: python -m webapp.deliveries.moves_page > docs/deliveries.md"
    )


@pytest.mark.parametrize("state", list(State))
def test_from_each_state_exactly_the_moves_of_the_table_are_possible(make_delivery, make_user, state):
    everything = make_user("Administrator")
    delivery = make_delivery(size=0, state=state)
    for verb in VERBS:
        entry = next((move for move in MOVES if move.verb == verb and move.source == state), None)
        right = next(move.right for move in MOVES if move.verb == verb)
        by = everything if right else None
        if entry is None:
            with pytest.raises(Conflict) as refused, transaction():
                moves.move(delivery.id, verb, at=T0, by=by)
            assert refused.value.facts["state"] == state
            assert not moves.allowed(delivery, verb, by)
            continue
        assert moves.allowed(delivery, verb, by)
        with suppress(TakenBackError), transaction():
            assert moves.move(delivery.id, verb, at=T0, by=by, reason="why") == entry.target
            db.session.flush()
            row = db.session.query(Move).order_by(Move.id.desc()).first()
            assert (row.from_state, row.to_state, row.reason, row.at) == (state, entry.target, "why", T0)
            raise TakenBackError


@pytest.mark.parametrize("role", ROLES)
def test_a_move_needs_its_right_and_what_sendoff_does_itself_nobody_does(make_delivery, make_user, role):
    user = make_user(role)
    for entry in MOVES:
        delivery = make_delivery(size=0, state=entry.source, audience=f"{entry.verb} {entry.source} {role}")
        if entry.right is not None and user.can(entry.right):
            with transaction():
                moves.move(delivery.id, entry.verb, at=T0, by=user)
            continue
        with pytest.raises(NotAllowed), transaction():
            moves.move(delivery.id, entry.verb, at=T0, by=user)
        assert delivery.state == entry.source


def test_final_states_have_no_way_out():
    assert not [move for move in MOVES if move.source in FINAL]


def test_every_state_can_be_reached_and_left_or_is_final():
    reached = {State.DRAFT} | {move.target for move in MOVES}
    assert reached == set(State)
    assert {move.source for move in MOVES} | FINAL == set(State)


def test_a_delivery_that_does_not_exist_is_not_found(make_user):
    marketer = make_user("Marketer")
    with pytest.raises(NotFound), transaction():
        moves.move(999_999, "prepare", at=T0, by=marketer)


def test_an_unknown_verb_is_a_mistake_in_the_code(make_delivery):
    delivery = make_delivery(size=0)
    with pytest.raises(ValueError, match="No move is called"), transaction():
        moves.move(delivery.id, "explode", at=T0, by=None)
