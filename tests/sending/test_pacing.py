import time

import pytest

from webapp import broker
from webapp.sending.pacing import Pacer


def taken(pacer, seconds):
    until = time.monotonic() + seconds
    number = 0
    while pacer.wait(stopped=lambda: time.monotonic() > until):
        number += 1
    return number


def test_no_limit_never_waits():
    assert Pacer(1, per_second=None).wait(stopped=lambda: True)


def test_two_processes_together_keep_to_the_limit(database):
    pacers = [Pacer(7, per_second=100, share=2) for _ in range(2)]
    until = time.monotonic() + 0.8
    number = 0
    while time.monotonic() < until:
        number += sum(pacer.wait(stopped=lambda: time.monotonic() > until) for pacer in pacers)
    assert 30 <= number <= 105  # 80, and the bucket's 20 at the start


def test_without_redis_each_keeps_to_its_share(monkeypatch):
    def away():
        raise broker.BrokerDown("away")

    monkeypatch.setattr(broker, "client", away)
    assert 1 <= taken(Pacer(8, per_second=20, share=2), 0.5) <= 8


def test_waiting_ends_when_the_run_does(database):
    pacer = Pacer(9, per_second=1)
    pacer.wait(stopped=lambda: False)
    assert not pacer.wait(stopped=lambda: True)


@pytest.mark.parametrize("rate", [1, 7, 1000])
def test_any_rate_lets_something_go(database, rate):
    assert taken(Pacer(10 + rate, per_second=rate), 0.2) >= 1
