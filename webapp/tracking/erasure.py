"""What stays of a person who is erased: the rows that figures are made of, without who it was."""

from sqlalchemy import text

from webapp.db import db


def forget(contact_id: int, email: str) -> None:
    """Take address, values and trace off all messages, exclusions, opens and clicks of a contact.

    Outcomes and times stay, so that every figure stays what it was. A message that still waits is not sent any more:
    sending leaves out those whose contact is gone.
    """
    values = {"id": contact_id, "email": email}
    db.session.execute(
        text("""
            UPDATE hit SET contact_id = NULL, agent = '', address = '' FROM message m
            WHERE m.contact_id = :id AND hit.delivery_id = m.delivery_id AND hit.seq = m.seq
        """),
        values,
    )
    db.session.execute(text("UPDATE reaction SET contact_id = NULL WHERE contact_id = :id"), values)
    for table, plain in (("message", """email = '', "values" = '{}'"""), ("exclusion", "email = NULL")):
        db.session.execute(
            text(f"""
                UPDATE {table} SET {plain}, detail = replace(replace(detail, :email, '…'), lower(:email), '…')
                WHERE contact_id = :id
            """),
            values,
        )
