import random

import pytest

from tests.mail.desks import BODY, Desk, messages
from webapp.mail.exchange import Exchange, Outgoing, Stage
from webapp.mail.session import Timeouts
from webapp.mail.wire import RelayError, Trouble

PIPELINING = {"PIPELINING": ""}
GROUP = b"250 ok\r\n250 ok\r\n354 go\r\n"


def exchange(desk, extensions=PIPELINING, **options):
    return Exchange(extensions, desk, timeouts=Timeouts(command=3, content=7), **options)


def healthy(desk):
    """Return an exchange that has sent one message."""
    made = exchange(desk)
    made.go(messages(1)[0])
    made.receive(GROUP)
    made.go(None)
    made.receive(b"250 queued\r\n")
    return made


def test_content_leads_the_next_envelope_once_the_relay_is_known_to_take_messages():
    desk = Desk()
    talk = exchange(desk)
    first, second, third = messages(3)
    assert talk.go(first).endswith(b"RCPT TO:<r0@example.com>\r\nDATA\r\n")
    assert talk.receive(GROUP) == b""
    assert not talk.takes
    assert talk.go(None).endswith(b"end\r\n.\r\n")
    talk.receive(b"250 queued\r\n")
    assert talk.idle
    talk.go(second)
    talk.receive(GROUP)
    assert talk.takes
    data = talk.go(third)
    assert data.index(b"\r\n.\r\n") < data.index(b"MAIL FROM")
    talk.receive(b"250 queued\r\n" + GROUP)
    assert desk.fates == {0: (250, "content"), 1: (250, "content")}


def test_a_relay_that_reports_is_asked_for_short_reports_of_failure():
    talk = exchange(Desk(), {**PIPELINING, "DSN": ""})
    commands = talk.go(messages(1)[0])
    assert b"MAIL FROM:<bounce@example.org> RET=HDRS\r\n" in commands
    assert b"RCPT TO:<r0@example.com> NOTIFY=FAILURE\r\n" in commands
    silent = exchange(Desk(), {**PIPELINING, "DSN": ""})
    assert b"RET=" not in silent.go(Outgoing(0, "", "b@example.org", b"as it is\r\n"))


@pytest.mark.parametrize(
    ("sender", "recipient", "content", "international"),
    [
        ("a@example.org", "b@example.org", "Subject: x\r\n\r\nplain\r\n", False),
        ("a@example.org", "b@example.org", "Subject: x\r\n\r\neight bits: æ\r\n", False),
        ("a@example.org", "b@example.org", "From: <jørgen@example.org>\r\n\r\nplain\r\n", True),
        ("jørgen@example.org", "b@example.org", "Subject: x\r\n\r\nplain\r\n", True),
        ("a@example.org", "søren@example.org", "Subject: x\r\n\r\nplain\r\n", True),
    ],
)
def test_what_is_beyond_ascii_in_addresses_or_header_needs_smtputf8(sender, recipient, content, international):
    message = Outgoing(0, sender, recipient, content.encode())
    able, unable = Desk(), Desk()
    said = exchange(able, {**PIPELINING, "SMTPUTF8": "", "8BITMIME": ""}).go(message)
    assert (b" SMTPUTF8" in said.splitlines()[0]) == international
    exchange(unable, {**PIPELINING, "8BITMIME": ""}).go(message)
    assert unable.fates == ({0: (553, "mail")} if international else {})


def test_a_message_in_wire_form_is_not_changed():
    talk = exchange(Desk())
    talk.go(Outgoing(0, "a@example.org", "b@example.org", b"as it is\r\n", wired=True))
    talk.receive(GROUP)
    assert talk.go(None) == b"as it is\r\n.\r\n"


def test_where_the_bytes_of_answers_break_changes_nothing():
    answers = b"250 2.0.0 queued\r\n250 ok\r\n550-no\r\n550 such user\r\n354 go\r\n"
    for cut in range(len(answers)):
        desk = Desk()
        talk = healthy(desk)
        one, two = messages(3)[1:]
        talk.go(one)
        talk.receive(GROUP)
        talk.go(two)
        written = talk.receive(answers[:cut]) + talk.receive(answers[cut:])
        assert written == b".\r\n"
        assert desk.fates == {0: (250, "content"), 1: (250, "content"), 2: (550, "rcpt")}
        assert talk.receive(b"250 nobody got it\r\n") == b""
        assert talk.go(messages(5)[4]).startswith(b"RSET\r\nMAIL")


@pytest.mark.parametrize(
    ("said", "trouble"), [(b"421 4.4.2 idle\r\n", Trouble.CLOSED), (b"250 ok\r\n", Trouble.PROTOCOL)]
)
def test_a_relay_that_speaks_unasked_is_not_believed_about_the_next_message(said, trouble):
    desk = Desk()
    talk = healthy(desk)
    with pytest.raises(RelayError) as raised:
        talk.receive(said)
    assert raised.value.trouble is trouble
    assert desk.fates == {0: (250, "content")}


def test_an_answer_too_many_in_a_group_returns_the_message_whose_content_is_due():
    desk = Desk()
    talk = healthy(desk)
    talk.go(messages(2)[1])
    with pytest.raises(RelayError) as raised:
        talk.receive(GROUP + b"250 and more\r\n")
    talk.broken(raised.value)
    assert desk.fates == {0: (250, "content"), 1: "returned"}


@pytest.mark.parametrize(("unwritten", "fate"), [(0, "unsure"), (40, "unsure"), (2000, "returned")])
def test_content_counts_only_with_its_end_mark(unwritten, fate):
    desk = Desk()
    talk = healthy(desk)
    one, two = messages(3)[1:]
    talk.go(one)
    talk.receive(GROUP)
    talk.go(two)
    talk.broken(RelayError(Trouble.CLOSED, "gone"), unwritten=unwritten)
    assert desk.fates == {0: (250, "content"), 1: fate, 2: "returned"}


def test_the_time_allowed_is_that_of_what_is_awaited():
    desk = Desk()
    talk = exchange(desk)
    talk.go(messages(1)[0])
    assert talk.timeout == 3
    talk.receive(GROUP)
    talk.go(None)
    assert talk.timeout == 7


def test_random_answers_in_random_pieces_never_lose_or_mix_up_a_message():
    rng = random.Random(11)  # noqa: S311 - a test's dice
    answers = [b"250 ok\r\n"] * 12 + [b"354 go\r\n"] * 5
    answers += [
        b"421 bye\r\n",
        b"450 later\r\n",
        b"550 no\r\n",
        b"554-no\r\n554 no\r\n",
        b"junk\r\n",
        b"250-a\r\n251 b\r\n",
        b"2",
    ]
    for _ in range(3000):
        desk = Desk(keep_back={rng.randrange(20)})
        talk = exchange(desk, rng.choice([{}, PIPELINING]))
        given = []
        contents = []
        try:
            for message in messages(8):
                while True:
                    coming = message if talk.takes else None
                    before = len(desk.handed)
                    given += [message.key] if coming else []
                    data = talk.go(coming)
                    contents += desk.handed[before:]
                    while not talk.due:
                        data = talk.receive(rng.choice(answers))
                    if coming:
                        break
        except RelayError as error:
            talk.broken(error, unwritten=rng.choice([0, 0, len(data)]))
        else:
            talk.broken(RelayError(Trouble.CLOSED, "the end"))
        assert sorted(desk.fates) == given
        spoken_of = [key for key, fate in desk.fates.items() if fate == "unsure" or fate[1] == Stage.CONTENT]
        assert set(spoken_of) <= set(contents)
        assert sum(fate == "unsure" for fate in desk.fates.values()) <= 1


def test_what_is_sent_is_what_was_given():
    talk = exchange(Desk(), {})
    data = talk.go(messages(1)[0])
    for answer, command in ((b"250 ok\r\n", b"RCPT TO:<r0@example.com>\r\n"), (b"250 ok\r\n", b"DATA\r\n")):
        assert data
        data = talk.receive(answer)
        assert data == command
    assert talk.receive(b"354 go\r\n") == b""
    assert talk.go(None) == BODY.replace(b"\r\n.", b"\r\n..") + b".\r\n"
