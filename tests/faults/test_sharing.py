"""Several deliveries at once on one real worker."""

import pytest

from tests.faults.conftest import Sink
from tests.faults.test_kill import state_of, wait_until
from tests.sending.orders import check_balance, make_order
from webapp.db import transaction
from webapp.deliveries.states import State
from webapp.queue import push

pytestmark = pytest.mark.faults

LARGE, NOTICE = 4000, 50


def test_a_notice_does_not_wait_behind_a_large_delivery(installation):
    sink = Sink()
    with sink.server:
        large = make_order(LARGE, port=sink.server.port, chunk=100)
        installation.start("jobs.worker", "send")
        push("send.deliver", large.delivery_id)
        wait_until(lambda: sink.count > LARGE / 20)
        notice = make_order(NOTICE, port=sink.server.port, chunk=100, name="a notice")
        push("send.deliver", notice.delivery_id)
        wait_until(lambda: state_of(notice) is State.FINISHED)
        assert state_of(large) is State.SENDING
        before = sink.count
        assert before < LARGE
        wait_until(lambda: sink.count > before + NOTICE)  # the large one goes on by itself
    with transaction():
        assert check_balance(notice).sent == NOTICE
        assert check_balance(large).targeted == LARGE
    assert max(sink.taken.values()) == 1
