"""A delivery to thousands, to be prepared while things go wrong."""

from sqlalchemy import text

from webapp import clock
from webapp.accounts.models import Role, User
from webapp.audience.models import ContactList, Topic
from webapp.db import db, transaction
from webapp.deliveries import preparation
from webapp.deliveries.models import Delivery, DeliveryList, Preparation
from webapp.mail.models import Relay

SIZE = 6_000  # more than one process tries by itself
_MANY = ", ".join(str(number) for number in range(20))
_PAGE = (
    "<html lang='en'><head><title>News</title></head><body>{% if first_name %}<h1>Hello {{ first_name }}</h1>{% endif %}"
    "$<p><a href='{{ unsubscribe_url }}'>Unsubscribe</a></p></body></html>"
)
HTML = _PAGE.replace("$", "")
SLOW = _PAGE.replace(
    "$", f"{{% for a in [{_MANY}] %}}{{% for b in [{_MANY}] %}}{{{{ a }}}}{{% endfor %}}{{% endfor %}}"
)


def make_large(html=HTML):
    """Make a draft to so many that other processes try its messages; return (delivery id, user id)."""
    at = clock.now()
    with transaction():
        topic, audience = Topic(name="News", description=""), ContactList(name="All", created_at=at)
        user = User(
            email="p@example.com",
            name="P",
            created_at=at,
            role_id=db.session.query(Role).filter_by(name="Marketer").one().id,
        )
        relay = Relay(name="R", host="127.0.0.1", port=2525, tls="none", is_default=True, created_at=at)
        db.session.add_all([topic, audience, user, relay])
        db.session.flush()
        db.session.execute(
            text("""
                INSERT INTO contact (email, email_norm, first_name)
                SELECT 'p' || n || '@example.com', 'p' || n || '@example.com', 'P' || n FROM generate_series(1, :size) n
            """),
            {"size": SIZE},
        )
        params = {"list": audience.id, "topic": topic.id, "at": at}
        db.session.execute(text("INSERT INTO list_member (list_id, contact_id) SELECT :list, id FROM contact"), params)
        db.session.execute(
            text("INSERT INTO subscription SELECT :topic, id, true, :at, 'test' FROM contact"),
            params,
        )
        delivery = Delivery(
            label="Large",
            topic_id=topic.id,
            from_name="F",
            from_address="news@example.com",
            subject="Hello",
            html=html,
            text="{{ unsubscribe_url }}",
            created_at=at,
            updated_at=at,
            state_since=at,
        )
        delivery.targets = [DeliveryList(list_id=audience.id, position=0)]
        db.session.add(delivery)
    return delivery.id, user.id


def press(large):
    with transaction():
        return preparation.prepare(large[0], by=db.session.get(User, large[1]), at=clock.now())


def found(preparation_id):
    with transaction():
        db.session.expire_all()
        row = db.session.get(Preparation, preparation_id)
        return row.status, {stage["stage"]: stage for stage in row.stages}, row.fingerprint


def messages(large):
    query = 'SELECT seq, contact_id, email, "values" FROM message WHERE delivery_id = :id ORDER BY seq'
    with transaction():
        return db.session.execute(text(query), {"id": large[0]}).all()
