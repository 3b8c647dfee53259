"""A delivery that has gone out, with its messages, links and ledger: made at once, without preparing and sending it."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select, text

from tests.fixtures import T0
from webapp.audience.models import ListMember
from webapp.content.render import compile_content
from webapp.db import db, transaction
from webapp.deliveries import ledger, partitions
from webapp.deliveries.models import Delivery, Link, Preparation
from webapp.deliveries.states import Outcome

BASE = "http://localhost"
FILL = """
INSERT INTO message (delivery_id, seq, contact_id, status, attempts, code, at, email, values)
SELECT :delivery, row_number() OVER (ORDER BY c.id) - 1, c.id, :status, 1, 250, :at, c.email,
       jsonb_build_object('first_name', c.first_name)
FROM contact c WHERE c.id = ANY(CAST(:contacts AS bigint[]))
"""


def make(make_delivery: Callable[..., Delivery], *, size: int = 10, links: int = 4, **columns: Any) -> Delivery:
    """Make a finished delivery of `size` messages, all sent at T0, whose links 1… lead to https://fjellheim.example/<n>."""
    html = "".join(f"<p><a href='https://fjellheim.example/{n}'>Link {n}</a></p>" for n in range(1, links + 1))
    html = f"<html lang='en'><head><title>News</title></head><body>Hello {{{{ first_name }}}} {html}</body></html>"
    delivery = make_delivery(
        size=size,
        html=html,
        **({"state": "finished", "started_at": T0, "finished_at": T0, "confirmed_at": T0} | columns),
    )
    compiled = compile_content(
        subject=delivery.subject, html=html, text="Hello", base_url=BASE, tracking=delivery.tracking
    )
    with transaction():
        preparation = Preparation(
            delivery_id=delivery.id,
            status="done",
            started_at=T0,
            finished_at=T0,
            targeted=size,
            to_deliver=size,
            to_exclude=0,
            fingerprint="f",
            frozen={"content": compiled.frozen.as_dict(), "tracking": delivery.tracking},
        )
        db.session.add(preparation)
        db.session.flush()
        partitions.create(preparation.id)
        partitions.attach(preparation.id, delivery_id=delivery.id)
        contacts = db.session.scalars(
            select(ListMember.contact_id).where(ListMember.list_id == delivery.targets[0].list_id)
        ).all()
        db.session.execute(
            text(FILL), {"delivery": delivery.id, "status": int(Outcome.SENT), "at": T0, "contacts": list(contacts)}
        )
        delivery.preparation_id = preparation.id
        ledger.open_account(delivery.id, targeted=size, excluded=0, at=T0)
        ledger.shift(delivery.id, at=T0, waiting=-size, sent=size)
        for link in compiled.links:
            db.session.add(Link(delivery_id=delivery.id, no=link.number, target=link.target, label=link.label))
    return delivery


@pytest.fixture
def make_sent(make_delivery: Callable[..., Delivery]) -> Callable[..., Delivery]:
    def one(**columns: Any) -> Delivery:
        return make(make_delivery, **columns)

    return one
