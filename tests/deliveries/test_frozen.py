"""Nothing that is sent differs from what was frozen, whatever changes afterwards."""

import email
import re
from email import policy

from sqlalchemy import text, update

from tests.fixtures import T0
from tests.mail.servers import ScriptedServer
from webapp.audience import attribute_names
from webapp.audience.models import Contact, Topic
from webapp.content.render import Tokens, thaw
from webapp.db import db, transaction
from webapp.deliveries import confirm, preparation
from webapp.deliveries.models import Delivery, Message
from webapp.mail.models import Relay
from webapp.sending import work
from webapp.sending.run import Run, Terms

HTML = (
    "<html lang='en'><head><title>News</title></head><body>{% if language == 'nb' %}<p>Hei {{ first_name }}</p>{% else %}"
    "<p>Hello {{ first_name|default('you') }}</p>{% endif %}{% for thing in ['Wool', 'Down'] %}<p>{{ thing }} for {{ town }}</p>"
    "{% endfor %}<p><a href='https://shop.example/{{ town }}'>Shop</a> <a href='{{ unsubscribe_url }}'>Unsubscribe</a></p></body></html>"
)
TEXT = "Hello {{ first_name }} in {{ town }}\n\nhttps://shop.example/all\n\n{{ unsubscribe_url }}\n"
TOKEN = re.compile(r"/(c|o|u|v)/[A-Za-z0-9_-]+")


def bare(part):
    """A part without what differs for each recipient on purpose: the signed tokens."""
    return TOKEN.sub(r"/\1/token", part.replace("\r\n", "\n")).strip()


def test_every_message_that_is_sent_is_a_render_of_what_was_frozen(make_delivery, prepare, people, tmp_path):
    taken = []

    def script(conversation):
        conversation.greet("PIPELINING")
        conversation.serve(lambda stage, content: taken.append(content) or "" if stage == "content" else "")

    delivery = make_delivery(size=40, html=HTML, text=TEXT, subject="{{ first_name }}, it is {{ town }}")
    with transaction():
        for number, person in enumerate(db.session.query(Contact)):
            person.language = "nb" if number % 3 else None
            person.attributes = {"town": f"Ålesund & <{number}>"}
        attribute_names.keep(["town"])
    assert prepare(delivery) == "done"
    prepared = preparation.current(delivery)
    frozen = dict(prepared.frozen)
    wanted = {}
    for message in db.session.query(Message).filter_by(delivery_id=delivery.id):
        made = thaw(frozen["content"]).render(message.values, Tokens("t", "t", "t", "t"))
        wanted[message.email] = (made.subject, bare(made.html), bare(made.text))
    with ScriptedServer(script) as server:
        with transaction():
            confirm.send_now(
                delivery.id, by=people.supervisor, at=T0, count=prepared.to_deliver, fingerprint=prepared.fingerprint
            )
        with transaction():  # not even what no page lets anybody change any more
            db.session.execute(update(Relay).values(port=server.port))
            db.session.execute(update(Contact).values(first_name="Changed", attributes={}, language="sv"))
            db.session.execute(update(Contact).values(email=text("'x' || email")))
            db.session.execute(update(Topic).values(name="Changed"))
            changed = {
                "subject": "Changed",
                "html": "Changed",
                "text": "Changed",
                "from_name": "Changed",
                "tracking": "none",
            }
            db.session.execute(
                update(Delivery).values(**changed, from_address="changed@example.com", reply_to="c@x.example")
            )
        with transaction():
            job = work.load(delivery.id, at=T0)
        assert Run(job, Terms(clock=lambda: T0, journal=tmp_path, worker="test", seconds=30)).go() == "dry"
    sent = {}
    for content in taken:
        message = email.message_from_bytes(content, policy=policy.SMTP)
        parts = (message.get_body((kind,)).get_content() for kind in ("html", "plain"))
        sent[message["To"].addresses[0].addr_spec] = (message["Subject"], *(bare(part) for part in parts))
        assert "Changed" not in content.decode("utf-8", "replace")
        assert message["From"].addresses[0].addr_spec == frozen["from_address"]
    assert len(sent) == 40
    assert sent == wanted
