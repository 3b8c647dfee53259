"""Addresses that could not be reached several times are left alone for a while."""

from datetime import timedelta

import pytest

from tests.fixtures import T0
from webapp import clock
from webapp.audience import quarantine
from webapp.db import transaction

DAY = timedelta(days=1)


def _fail(times: int, *, every: timedelta, email: str = "full@x.example") -> list[int]:
    return [quarantine.failed({email: "452 mailbox full"}, at=T0 + number * every) for number in range(times)]


@pytest.mark.usefixtures("database")
def test_five_failures_over_two_weeks_put_an_address_into_quarantine_for_a_month() -> None:
    assert _fail(5, every=4 * DAY) == [0, 0, 0, 0, 1]
    (caught,) = quarantine.caught(at=T0 + 17 * DAY, limit=10)
    assert (caught.email_norm, caught.failures, caught.detail) == ("full@x.example", 5, "452 mailbox full")
    assert caught.until == T0 + 16 * DAY + quarantine.LASTS
    assert quarantine.count(at=caught.until + DAY) == 0


@pytest.mark.usefixtures("database")
def test_many_failures_within_a_few_days_are_not_enough() -> None:
    assert _fail(9, every=DAY) == [0] * 9
    assert quarantine.count(at=T0) == 0


@pytest.mark.usefixtures("database")
def test_a_message_that_arrives_breaks_the_row_of_failures() -> None:
    _fail(4, every=5 * DAY)
    quarantine.arrived(["full@x.example", "other@x.example"], at=T0)
    assert quarantine.failed({"full@x.example": ""}, at=T0 + 20 * DAY) == 0
    assert quarantine.of_address("full@x.example").failures == 1


@pytest.mark.usefixtures("database")
def test_a_failure_after_the_quarantine_leads_back_into_it() -> None:
    _fail(5, every=4 * DAY)
    later = T0 + 60 * DAY
    assert quarantine.count(at=later) == 0
    assert quarantine.failed({"full@x.example": ""}, at=later) == 1
    assert quarantine.of_address("full@x.example").until == later + quarantine.LASTS


def test_an_address_is_let_out_by_hand_by_those_who_may(as_role) -> None:
    client = as_role("Marketer")
    with transaction():
        for number in range(5):
            quarantine.failed({"full@x.example": "452 mailbox full"}, at=clock.now() - (20 - number * 4) * DAY)
    page = client.get("/quarantine").text
    assert "full@x.example" in page
    assert "452 mailbox full" in page
    assert as_role("Manager").post("/quarantine/release", data={"email": "full@x.example"}).status_code == 403
    assert client.post("/quarantine/release", data={"email": "full@x.example"}).status_code == 303
    assert client.post("/quarantine/release", data={"email": "full@x.example"}).status_code == 404
    with transaction():
        assert quarantine.of_address("full@x.example") is None
