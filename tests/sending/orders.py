"""Deliveries that are ready to be sent, made without a preparation; and a look at what became of them."""

from collections import Counter
from datetime import timedelta

from sqlalchemy import text

from tests.fixtures import T0
from webapp.audience.models import Contact, Subscription, Topic
from webapp.content.render import compile_content
from webapp.db import db, transaction
from webapp.deliveries import ledger, partitions
from webapp.deliveries.models import Delivery, Preparation
from webapp.deliveries.states import Outcome
from webapp.mail.models import Relay
from webapp.mail.tokens import Signer
from webapp.sending.claims import Order
from webapp.sending.making import Maker

HTML = (
    "<html lang='en'><body><h1>Hello {{ first_name }}</h1><p><a href='https://example.org/new'>New</a></p>"
    "<p><a href='{{ unsubscribe_url }}'>Unsubscribe</a></p></body></html>"
)
TEXT = "Hello {{ first_name }}\n\nhttps://example.org/new\n\nUnsubscribe: {{ unsubscribe_url }}\n"


def frozen(topic_id, **changed):
    content = compile_content(
        subject="Hello {{ first_name }}", html=HTML, text=TEXT, base_url="http://localhost", tracking="full"
    )
    return {
        "content": content.frozen.as_dict(),
        "from_name": "Fjellheim",
        "from_address": "news@fjellheim.example",
        "reply_to": "",
        "topic_id": topic_id,
        **changed,
    }


def make_order(size=30, *, port=1, chunk=10, state="sending", connections=2, security="none", suffix="", **relay):
    """Make a delivery that is being sent, over a relay on `port` of this machine."""
    with transaction():
        topic = Topic(name=f"News of a test{suffix}")
        way = Relay(
            name=f"A relay{suffix}",
            host="127.0.0.1",
            port=port,
            tls=security,
            max_connections=connections * 2,
            created_at=T0,
            **relay,
        )
        db.session.add_all([topic, way])
        db.session.flush()
        delivery = Delivery(
            label="A test",
            topic_id=topic.id,
            relay_id=way.id,
            state=state,
            state_since=T0,
            created_at=T0,
            updated_at=T0,
        )
        people = [
            Contact(email=f"p{seq}@example.com", email_norm=f"p{seq}@example.com", first_name=f"P{seq}")
            for seq in range(size)
        ]
        db.session.add_all([delivery, *people])
        db.session.flush()
        prepared = Preparation(delivery_id=delivery.id, status="done", started_at=T0, frozen=frozen(topic.id))
        db.session.add(prepared)
        db.session.add_all(
            Subscription(topic_id=topic.id, contact_id=p.id, subscribed=True, changed_at=T0, source="test")
            for p in people
        )
        db.session.flush()
        delivery.preparation_id = prepared.id
        db.session.flush()
        fill(prepared.id, delivery_id=delivery.id, people=[person.id for person in people], chunk=chunk)
    return Order(delivery.id, prepared.id, topic.id)


def fill(preparation_id, *, delivery_id, people, chunk):
    partitions.create(preparation_id)
    db.session.execute(
        text(f"""
            INSERT INTO message_{preparation_id} (delivery_id, seq, contact_id, email, "values")
            SELECT :delivery, row_number() OVER (ORDER BY id) - 1, id, email,
                jsonb_build_object('first_name', first_name, 'name', first_name)
            FROM contact WHERE id = ANY(:people)
        """),
        {"delivery": delivery_id, "people": people},
    )
    partitions.attach(preparation_id, delivery_id=delivery_id)
    size = db.session.scalar(text(f"SELECT count(*) FROM message_{preparation_id}"))
    db.session.execute(
        text("""
            INSERT INTO chunk (delivery_id, no, first_seq, last_seq)
            SELECT :delivery, no, no * :chunk, least(no * :chunk + :chunk, :size) - 1
            FROM generate_series(0, (:size - 1) / :chunk) AS no
        """),
        {"delivery": delivery_id, "chunk": chunk, "size": size},
    )
    ledger.open_account(delivery_id, targeted=size, excluded=0, at=T0)


def maker_of(order):
    prepared = db.session.get(Preparation, order.preparation_id)
    return Maker(prepared.frozen, delivery_id=order.delivery_id, topic_name="News", signer=Signer(["for tests"]), at=T0)


def statuses(order):
    """Count the messages by outcome, from the rows."""
    query = text(f"SELECT status FROM message_{order.preparation_id}")
    return Counter(Outcome(status).name.lower() for status in db.session.scalars(query))


def one_snapshot():
    """Let all statements of the transaction see one moment, so that a delivery can be checked while it is sent."""
    db.session.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))


def check_balance(order):
    """Counters, rows and chunks must tell the same story."""
    figures = ledger.read(order.delivery_id)
    assert figures.difference == 0
    rows = statuses(order)
    for name in ("sent", "failed", "cancelled", "excluded_late", "unconfirmed"):
        assert getattr(figures, name) == rows[name], name
    held = free = 0
    for chunk in db.session.execute(
        text("SELECT first_seq, last_seq, seqs, retrying, lease_token FROM chunk WHERE delivery_id = :id"),
        {"id": order.delivery_id},
    ).all():
        status = Outcome.RETRYING if chunk.retrying else Outcome.WAITING
        seqs = chunk.seqs if chunk.seqs is not None else list(range(chunk.first_seq, chunk.last_seq + 1))
        left = db.session.scalar(
            text(f"SELECT count(*) FROM message_{order.preparation_id} WHERE seq = ANY(:seqs) AND status = :status"),
            {"seqs": seqs, "status": int(status)},
        )
        held += left if chunk.lease_token else 0
        free += 0 if chunk.lease_token else left
    assert figures.sending == held
    assert figures.waiting + figures.retrying == free
    assert rows["waiting"] + rows["retrying"] == held + free
    return figures


def later(**wait):
    return T0 + timedelta(**wait)


def delivery_of(order):
    return db.session.get(Delivery, order.delivery_id, populate_existing=True)


def has_paused(order, reason, count):
    assert (delivery_of(order).state, delivery_of(order).state_reason) == ("paused", reason)
    return is_untouched(order, count)


def is_untouched(order, count):
    assert statuses(order) == {"waiting": count}  # no attempt is burnt
    assert check_balance(order).waiting == count
    return True
