"""Whether a merge field exists is known without asking contacts, of whom there may be a million."""

from sqlalchemy import text

from tests.fixtures import T0
from webapp.audience import contacts
from webapp.audience.contacts import Facts
from webapp.db import db, transaction
from webapp.deliveries.preparation_check import known_to

READ = text("SELECT seq_tup_read + coalesce(idx_tup_fetch, 0) FROM pg_stat_xact_user_tables WHERE relname = 'contact'")


def test_a_misspelt_field_is_found_without_reading_any_contact(make_delivery, make_user):
    delivery = make_delivery(size=50, preheader="{{ shoe_size }}, {{ shoe_sise }}")
    user = make_user("Marketer")
    with transaction():
        contacts.create(Facts(email="kari@x.example", attributes={"shoe_size": "42"}), by=user, at=T0)
    with transaction():
        before = db.session.scalar(READ)
        known, read = known_to(delivery), db.session.scalar(READ) - before
    assert "shoe_size" in known
    assert "shoe_sise" not in known
    assert read == 0
