from collections import Counter
from datetime import timedelta

import pytest

from tests.fixtures import T0
from webapp.db import db, transaction
from webapp.deliveries import ledger
from webapp.mail import warmup
from webapp.mail.models import Relay
from webapp.sending import choosing, relays, seats, shares


@pytest.fixture
def relay(database):
    def make(name, **values):
        with transaction():
            found = Relay(name=name, host="127.0.0.1", port=1, tls="none", created_at=T0, **values)
            db.session.add(found)
        return found

    return make


def chosen(delivery, *, at=T0):
    found = choosing.choose(delivery, at=at)
    return found.name if found else None


def test_a_delivery_goes_over_the_relay_it_names(relay, make_delivery):
    relay("Default", is_default=True)
    own = relay("Own")
    assert chosen(make_delivery(relay_id=own.id)) == "Own"


def test_a_delivery_that_names_none_goes_over_the_default(relay, make_delivery):
    relay("Other")
    relay("Default", is_default=True)
    assert chosen(make_delivery(relay_id=None)) == "Default"


def test_a_relay_that_may_not_be_used_is_none(relay, make_delivery):
    own = relay("Own", active=False)
    assert chosen(make_delivery(relay_id=own.id)) is None


def test_relays_with_a_weight_are_chosen_in_turn_so_that_each_has_its_part(relay, make_delivery):
    relay("Default", is_default=True)
    numbers = {relay("Three", weight=3).id: "Three", relay("One", weight=1).id: "One"}
    delivery = make_delivery(relay_id=None)
    ledger.open_account(delivery.id, targeted=1000, excluded=0, at=T0)
    counts = Counter()
    for _ in range(40):
        found = choosing.choose(delivery, at=T0)
        shares.count(found.id, number=1000, at=T0)
        counts[numbers[found.id]] += 1
    assert counts == pytest.approx({"Three": 30, "One": 10}, abs=1)


def test_a_relay_all_of_whose_connections_are_in_use_leaves_its_turn_to_another(relay, make_delivery):
    full = relay("Three", weight=3, max_connections=1)
    relay("One", weight=1)
    delivery = make_delivery(relay_id=None)
    ledger.open_account(delivery.id, targeted=1000, excluded=0, at=T0)
    assert chosen(delivery) == "Three"
    assert seats.take(full.id, wanted=1, most=1, worker="somebody", at=T0)
    assert chosen(delivery) == "One"


def test_what_a_relay_was_given_is_forgotten_by_halves(relay):
    one, other = relay("One", weight=1), relay("Other", weight=1)
    shares.count(one.id, number=1000, at=T0)
    behind = shares.rooms({one.id: 1, other.id: 1}, remaining=0, at=T0 + shares.HALF_LIFE)
    assert behind == pytest.approx({one.id: -250, other.id: 250})


def test_another_takes_over_while_a_relay_is_left_aside(relay, make_delivery):
    own = relay("Own")
    relay("Not for this")
    relay("Spare", takes_over=True)
    delivery = make_delivery(relay_id=own.id)
    with transaction():
        assert choosing.fail(own.id, trouble="relay_unreachable", text="refused", at=T0)
        assert not choosing.fail(own.id, trouble="relay_unreachable", text="refused", at=T0)
    assert chosen(delivery) == "Spare"
    assert chosen(delivery, at=T0 + timedelta(minutes=6)) == "Own"


def test_the_built_in_relay_never_takes_over(relay, make_delivery):
    own = relay("Own")
    relay("Built-in", builtin=True, takes_over=True)
    with transaction():
        choosing.fail(own.id, trouble="relay_login", text="", at=T0)
    assert chosen(make_delivery(relay_id=own.id)) == "Own"


def test_without_another_the_failing_one_is_tried_all_the_same(relay, make_delivery):
    own = relay("Own")
    with transaction():
        choosing.fail(own.id, trouble="relay_login", text="", at=T0)
    assert chosen(make_delivery(relay_id=own.id)) == "Own"


def test_what_shares_the_mail_takes_over_from_each_other(relay, make_delivery):
    one = relay("One", weight=1)
    relay("Two", weight=1)
    with transaction():
        choosing.fail(one.id, trouble="relay_login", text="", at=T0)
    delivery = make_delivery(relay_id=None)
    assert {chosen(delivery) for _ in range(20)} == {"Two"}


def test_a_relay_that_has_had_its_day_leaves_the_rest_to_those_it_shares_with_but_not_to_spares(relay, make_delivery):
    new = relay("New", weight=1, plan=[10])
    relay("Spare", takes_over=True)
    delivery = make_delivery(relay_id=None)
    with transaction():
        warmup.grant(warmup.limited([new], at=T0), wanted=10, at=T0)
    assert chosen(delivery) == "New"  # and waits until tomorrow
    relay("Old", weight=1)
    assert {chosen(delivery) for _ in range(20)} == {"Old"}


def test_a_relay_that_works_again_is_as_good_as_any(relay):
    own = relay("Own")
    with transaction():
        choosing.fail(own.id, trouble="relay_login", text="no", at=T0)
    with transaction():
        relays.works(own)
    assert (own.trouble, own.troubled_until) == (None, None)
