"""Messages that are made by processes beside each other: the same comes of it as by one."""

import json

import pytest

from webapp.audience import attribute_names
from webapp.audience.models import Contact
from webapp.content.making import Trial, make
from webapp.content.render import compile_content
from webapp.db import db, transaction
from webapp.deliveries import personalise, preparation
from webapp.deliveries.makers import WAITING, Makers
from webapp.deliveries.models import Exclusion, Message
from webapp.deliveries.report import Stopped

HTML = (
    "<html lang='en'><body>{% if points > 3 %}<p>{{ name|default('you') }}</p>{% endif %}"
    "<p><a href='{{ unsubscribe_url }}'>Unsubscribe</a></p></body></html>"
)
AWKWARD = ["Åse", 'a "quoted" word', "back\\slash\\n", "line\nline\ttab", "\x7f \u2028 \x85", None]


def lines(recipients):
    """Write values as COPY does: JSON, its escapes doubled."""
    written = (json.dumps(values, ensure_ascii=False).replace("\\", "\\\\") for _who, values in recipients)
    return [f"{who}\t{values}\n".encode() for (who, _values), values in zip(recipients, written, strict=True)]


def ignore(count):
    """Take no notice of progress."""


@pytest.fixture
def content():
    return compile_content(subject="{{ name }}", html=HTML, text="{{ unsubscribe_url }}", base_url="https://x.example")


@pytest.fixture
def recipients():
    return [(n, {"points": "many" if n % 50 == 0 else n % 7, "name": AWKWARD[n % 6]}) for n in range(1, 400)]


def test_processes_make_what_one_makes_and_name_the_same_that_fail(content, recipients):
    written = lines(recipients)
    alone = make(b"".join(written), trial=Trial(content))
    with Makers(content.frozen, number=3, progress=ignore) as makers:
        for first in range(0, len(written), 32):
            makers.give(b"".join(written[first : first + 32]))
        together = makers.result()
        assert makers.done == len(recipients)
    assert (together.count, together.largest) == (alone.count, alone.largest)
    assert {who: str(why) for who, why in together.failed.items()} == {
        who: str(why) for who, why in alone.failed.items()
    }
    assert sorted(alone.failed) == list(range(50, 400, 50))


def test_a_process_that_dies_is_noticed(content):
    with Makers(content.frozen, number=1, progress=ignore) as makers:
        makers._processes[0].kill()
        makers._processes[0].wait()
        with pytest.raises(ChildProcessError):
            makers.result()


def test_while_they_are_slow_progress_is_told_and_can_stop_it(recipients):
    many = ", ".join(str(number) for number in range(100))
    loops = f"{{% for a in [{many}] %}}{{% for b in [{many}] %}}{{{{ name }}}}{{% endfor %}}{{% endfor %}}"
    slow, told = compile_content(subject="", html=loops, text="", base_url="https://x.example"), []

    def progress(count):
        told.append(count)
        if count > 5:
            raise Stopped

    def go_through(batches):
        with Makers(slow.frozen, number=1, progress=progress) as makers:
            for batch in batches:
                makers.give(batch)
            makers.result()

    written = lines(recipients)
    for batches in (
        written,
        [b"".join(written[:3]), b"".join(written[3:6])],
    ):  # while giving, and while waiting for the last
        with pytest.raises(Stopped):
            go_through(batches)
        assert 5 < told[-1] < 5 + 2 * WAITING


def test_leaving_early_ends_the_processes(content, recipients):
    with Makers(content.frozen, number=2, progress=ignore) as makers:
        makers.give(b"".join(lines(recipients)))
    assert [process.poll() is not None for process in makers._processes] == [True, True]


def test_a_preparation_by_many_ends_as_one_by_one(make_delivery, prepare, monkeypatch):
    delivery = make_delivery(size=160)
    with transaction():
        delivery.html = HTML
        db.session.query(Contact).update({"attributes": {"points": 5}})
        attribute_names.keep(["points"])
        db.session.query(Contact).first().attributes = {"points": "many"}
    monkeypatch.setattr(personalise, "processors", lambda: 2)
    outcomes = []
    for most in (1_000, 10):
        monkeypatch.setattr(personalise, "BY_ONE", most)
        assert prepare(delivery) == "done"
        found = preparation.current(delivery)
        left_out = db.session.query(Exclusion).one()
        assert db.session.query(Message).filter_by(delivery_id=delivery.id).count() == found.to_deliver
        outcomes.append((found.fingerprint, found.to_deliver, left_out.contact_id, left_out.cause, left_out.detail))
    assert outcomes[0] == outcomes[1]
    assert outcomes[0][1:4:2] == (159, "personalisation_failed")
