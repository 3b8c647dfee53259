"""A delivery of which all was sent, as other processes see it, too; and what such a process is started with."""

import os
from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy import text

from tests.fixtures import T0
from webapp import broker
from webapp.db import db, transaction
from webapp.deliveries import ledger, partitions
from webapp.tracking import hits

RECIPIENTS = 2000


def environ(app: Flask) -> dict[str, str]:
    """The environment of a process that works on the same database."""
    settings = app.extensions["settings"]
    names = ("database_url", "redis_url", "secret_key", "base_url", "mail_from", "sendoff_var")
    return os.environ | {name.upper(): str(getattr(settings, name)) for name in names}


@pytest.fixture
def committed(app: Flask) -> Iterator[int]:
    """A delivery that other processes see, too."""
    with app.app_context():
        broker.client().delete(hits.STREAM)
        with transaction():
            db.session.execute(text("DELETE FROM stream_position"))
            delivery_id = db.session.scalar(
                text(
                    "INSERT INTO delivery (label, notes, from_name, from_address, reply_to, tracking, language, subject, "
                    "preheader, html, text, state, state_since, created_at, updated_at) VALUES ('killed', '', '', '', '', "
                    "'full', 'en', '', '', '', '', 'finished', :at, :at, :at) RETURNING id"
                ),
                {"at": T0},
            )
            partitions.create(delivery_id)
            partitions.attach(delivery_id, delivery_id=delivery_id)
            db.session.execute(
                text(
                    "INSERT INTO message (delivery_id, seq, contact_id, status, at, email, values) "
                    "SELECT :id, n, n, 2, :at, 'x@example.com', '{}' FROM generate_series(0, :last) n"
                ),
                {"id": delivery_id, "last": RECIPIENTS - 1, "at": T0},
            )
            ledger.open_account(delivery_id, targeted=RECIPIENTS, excluded=0, at=T0)
            db.session.execute(
                text("INSERT INTO link (delivery_id, no, target, label) VALUES (:id, 1, '', '')"), {"id": delivery_id}
            )
        yield delivery_id
        with transaction():
            partitions.drop(delivery_id)
            db.session.execute(text("DELETE FROM delivery WHERE id = :id"), {"id": delivery_id})
            db.session.execute(text("DELETE FROM stream_position"))
        broker.client().delete(hits.STREAM)
