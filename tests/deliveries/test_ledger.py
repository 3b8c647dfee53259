import pytest
from sqlalchemy.exc import IntegrityError

from tests.fixtures import T0
from webapp.db import db, transaction
from webapp.deliveries import ledger, moves
from webapp.deliveries.models import Move, Tick
from webapp.errors import Conflict, NotAllowed


def test_a_shift_that_leaves_a_recipient_unaccounted_for_is_refused_by_the_database(make_delivery):
    delivery = make_delivery()
    with transaction():
        ledger.open_account(delivery.id, targeted=12, excluded=2, at=T0)
    with pytest.raises(IntegrityError), transaction():
        ledger.shift(delivery.id, at=T0, waiting=-1)
    assert ledger.read(delivery.id).waiting == 10


def test_a_balanced_shift_is_counted_in_the_ledger_and_in_its_tick(make_delivery):
    delivery = make_delivery()
    with transaction():
        ledger.open_account(delivery.id, targeted=12, excluded=2, at=T0)
        ledger.shift(delivery.id, at=T0, waiting=-4, sending=4)
        ledger.shift(delivery.id, at=T0, sending=-4, sent=3, failed=1)
    found = ledger.read(delivery.id)
    assert (found.waiting, found.sent, found.failed, found.difference) == (6, 3, 1, 0)
    tick = db.session.query(Tick).one()
    assert (tick.sent, tick.failed) == (3, 1)


def test_only_one_of_two_can_make_a_move_and_it_is_written_down(make_delivery, make_user):
    delivery, marketer = make_delivery(), make_user("Marketer")
    with transaction():
        moves.move(delivery.id, "prepare", at=T0, by=marketer)
    with pytest.raises(Conflict) as refused, transaction():
        moves.move(delivery.id, "prepare", at=T0, by=marketer)
    assert refused.value.facts["state"] == "preparing"
    row = db.session.query(Move).one()
    assert (row.from_state, row.to_state, row.user_name) == ("draft", "preparing", "Test Marketer")


def test_a_move_needs_its_right(make_delivery, make_user):
    delivery, marketer = make_delivery(), make_user("Marketer")
    with pytest.raises(NotAllowed), transaction():
        moves.move(delivery.id, "send now", at=T0, by=marketer)
