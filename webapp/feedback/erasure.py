"""What stays of a person who is erased: that a message came back, without what a server said of the address."""

from sqlalchemy import text

from webapp.db import db


def forget(contact_id: int, _email: str) -> None:
    """Take the words off what came back of all messages of a contact; every figure stays what it was."""
    db.session.execute(
        text("""
            UPDATE feedback f SET detail = '' FROM message m
            WHERE m.contact_id = :id AND f.delivery_id = m.delivery_id AND f.seq = m.seq
        """),
        {"id": contact_id},
    )
