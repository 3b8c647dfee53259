"""Several deliveries at once on one real worker."""

import pytest

from tests.faults.installation import wait_until
from tests.faults.relay import Relay
from tests.sending.orders import check_balance, make_order, one_snapshot
from webapp.db import transaction
from webapp.deliveries.states import State
from webapp.queue import push
from webapp.sending import work

pytestmark = pytest.mark.faults

LARGE, NOTICE = 4000, 50


def is_finished(order):
    with transaction():
        return work.state_of(order.delivery_id) is State.FINISHED


def test_a_notice_does_not_wait_behind_a_large_delivery(installation):
    with Relay() as relay:
        relay.seconds = 0.01
        large = make_order(LARGE, port=relay.port, chunk=100)
        installation.start("jobs.worker", "send")
        push("send.deliver", large.delivery_id)
        wait_until(lambda: relay.count > LARGE / 20)
        notice = make_order(NOTICE, port=relay.port, chunk=100, suffix=" of a notice")
        push("send.deliver", notice.delivery_id)
        wait_until(lambda: is_finished(notice))
        before = relay.count
        assert before < LARGE
        wait_until(lambda: relay.count > before + NOTICE)  # the large one goes on by itself
    with transaction():
        one_snapshot()  # the large one is still being sent
        assert check_balance(notice).sent == NOTICE
        assert check_balance(large).targeted == LARGE
