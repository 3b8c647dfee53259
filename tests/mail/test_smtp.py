import random
import smtplib

import pytest

from tests.mail.desks import BODY, Desk, good, messages, run
from tests.mail.servers import ScriptedServer
from webapp.mail.exchange import Outgoing, wire_form
from webapp.mail.session import Timeouts
from webapp.mail.wire import Trouble


def test_messages_arrive_unchanged_with_and_without_pipelining():
    for extensions in ((), ("PIPELINING",), ("PIPELINING", "8BITMIME", "SIZE 100000")):
        with ScriptedServer(good(*extensions)) as server:
            desk, _, error = run(server.port, messages(20))
            assert error is None
            assert desk.fates == dict.fromkeys(range(20), (250, "content"))
            assert server.conversations[0].messages == [BODY] * 20


def test_a_message_takes_one_round_trip():
    groups = []

    def script(conversation):
        conversation.greet("PIPELINING")
        waiting = b""
        while True:
            data = conversation.socket.recv(1 << 20)
            if not data:
                return
            groups.append(data)
            waiting += data
            if waiting.startswith(b"QUIT"):
                return
            answers = b""
            if not waiting.startswith(b"MAIL"):
                waiting = waiting.partition(b"\r\n.\r\n")[2]
                answers = b"250 queued\r\n"
            if waiting:
                answers += b"250 ok\r\n250 ok\r\n354 go\r\n"
            waiting = b""
            conversation.socket.sendall(answers)

    with ScriptedServer(script) as server:
        desk, _, error = run(server.port, messages(50))
    assert error is None
    assert len(desk.fates) == 50
    assert len(groups) <= 50 + 3


def test_none_in_the_source_finishes_what_is_open():
    with ScriptedServer(good("PIPELINING")) as server:
        desk = Desk()

        def source():
            for message in messages(3):
                yield message
                yield None
                assert desk.fates[message.key] == (250, "content")

        run(server.port, source(), desk)


def test_a_refused_recipient_leaves_the_others_alone():
    def replies(stage, argument):
        return "550 5.1.1 no such user" if stage == "rcpt" and ("r2@" in argument or "r3@" in argument) else ""

    for extensions in ((), ("PIPELINING",)):
        with ScriptedServer(good(*extensions, replies=replies)) as server:
            desk, _, error = run(server.port, messages(6))
            assert error is None
            assert desk.fates[2] == desk.fates[3] == (550, "rcpt")
            assert [key for key, fate in desk.fates.items() if fate == (250, "content")] == [0, 1, 4, 5]


def test_data_accepted_for_nobody_gets_a_lone_dot():
    with ScriptedServer(
        good("PIPELINING", replies=lambda stage, argument: "550 no" if stage == "rcpt" and "r1@" in argument else "")
    ) as server:
        desk, _, error = run(server.port, messages(3))
    assert error is None
    assert desk.fates == {0: (250, "content"), 1: (550, "rcpt"), 2: (250, "content")}
    assert server.conversations[0].messages == [BODY, b"", BODY]


def test_what_the_relay_refuses_at_the_end_is_answered_to_the_right_message():
    def script(conversation):
        conversation.greet("PIPELINING")
        count = iter(range(100))
        conversation.serve(lambda stage, _: "451 4.3.0 later" if stage == "content" and next(count) % 3 == 1 else "")

    with ScriptedServer(script) as server:
        desk, _, _ = run(server.port, messages(9))
    assert [desk.fates[key][0] for key in range(9)] == [250, 451, 250] * 3


def test_a_connection_lost_after_the_content_leaves_one_message_unsure():
    with ScriptedServer(good("PIPELINING", replies=lambda stage, _: None if stage == "content" else "")) as server:
        desk, _, error = run(server.port, messages(5))
    assert error.trouble is Trouble.CLOSED
    assert desk.fates == {0: "unsure", 1: "returned"}


def test_421_in_any_place_closes_and_burns_nothing():
    for place in ("mail", "rcpt", "data"):
        with ScriptedServer(
            good("PIPELINING", replies=lambda stage, _, place=place: "421 4.3.2 bye" if stage == place else "")
        ) as server:
            desk, _, error = run(server.port, messages(5))
        assert error.trouble is Trouble.CLOSED
        assert error.reply.code == 421
        assert desk.fates == {0: "returned"}


def test_421_for_content_is_an_answer_and_returns_the_next():
    def script(conversation):
        conversation.greet("PIPELINING")
        count = iter(range(9))
        conversation.serve(lambda stage, _: "421 4.3.2 bye" if stage == "content" and next(count) == 1 else "")

    with ScriptedServer(script) as server:
        desk, _, error = run(server.port, messages(5))
    assert error.reply.code == 421
    assert desk.fates == {0: (250, "content"), 1: (421, "content"), 2: "returned"}


def test_a_kept_back_message_never_shows_a_byte_of_content():
    with ScriptedServer(good("PIPELINING")) as server:
        desk, _, error = run(server.port, messages(4), Desk(keep_back={2}))
    assert error.trouble is Trouble.WITHHELD
    assert desk.fates == {0: (250, "content"), 1: (250, "content"), 2: "returned", 3: "returned"}
    assert len(server.conversations[0].messages) == 2


def test_a_relay_that_loses_count_is_spoken_to_plainly():
    def script(conversation):
        conversation.greet("PIPELINING")
        if conversation.number:
            conversation.serve()
        conversation.line()
        conversation.say("354 what?")
        conversation.line()

    with ScriptedServer(script) as server:
        desk, client, error = run(server.port, messages(3))
        assert error.desync
        assert client.plain
        assert desk.fates == {0: "returned"}
        client.open()
        second = Desk()
        client.pump(messages(3), second)
        client.quit()
        assert second.fates == dict.fromkeys(range(3), (250, "content"))


def test_silence_ends_after_the_time_limit():
    for place in ("mail", "content"):

        def script(conversation, place=place):
            conversation.greet("PIPELINING")

            def replies(stage, _):
                while stage == place:
                    conversation.line()
                return ""

            conversation.serve(replies)

        with ScriptedServer(script) as server:
            desk, _, error = run(server.port, messages(1), timeouts=Timeouts(command=1, content=1))
        assert error.trouble is Trouble.TIMEOUT
        assert desk.fates == {0: "unsure" if place == "content" else "returned"}


@pytest.mark.parametrize(
    "answer", ["999 what", "abc", "25", "250-a\r\n251 b", "", "1" * 5000, "250-" + "x\r\n250-" * 30000]
)
def test_an_answer_that_is_none_is_trouble(answer):
    with ScriptedServer(good(replies=lambda stage, _: answer or "x" if stage == "mail" else "")) as server:
        desk, _, error = run(server.port, messages(2))
    assert error.trouble in {Trouble.PROTOCOL, Trouble.TIMEOUT}
    assert desk.fates == {0: "returned"}


def test_random_answers_never_hang_it_or_lose_a_message():
    answers = [
        "",
        "",
        "",
        "",
        "250 ok",
        "354 go",
        "421 bye",
        "450 later",
        "550 no",
        "554 no",
        "junk",
        None,
        "200",
        "250-x\r\n250 y",
    ]
    rng = random.Random(7)  # noqa: S311 - a test's dice
    for _ in range(120):
        extensions = rng.choice([(), ("PIPELINING",)])
        with ScriptedServer(good(*extensions, replies=lambda *_: rng.choice(answers))) as server:
            source = messages(6)
            taken = []

            def noted(source=source, taken=taken):
                for message in source:
                    taken.append(message.key)
                    yield message

            desk, _, _ = run(server.port, noted(), timeouts=Timeouts(command=0.05, content=0.05))
            received = sum(message == BODY for message in server.conversations[0].messages)
        assert sorted(desk.fates) == taken
        told = [fate for fate in desk.fates.values() if fate == "unsure" or fate[1] == "content"]
        assert received <= len(told)


def test_addresses_that_could_speak_smtp_are_refused_here():
    with ScriptedServer(good("PIPELINING")) as server:
        bad = ["a@b.org>\r\nRCPT TO:<evil@x.org", "a b@c.org", "", "a@b.org\0"]
        source = [Outgoing(key, "s@example.org", recipient, BODY) for key, recipient in enumerate(bad)]
        desk, _, error = run(server.port, [*source, *[Outgoing(9, "s@example.org", "ok@example.org", BODY)]])
    assert error is None
    assert desk.fates == {0: (501, "mail"), 1: (501, "mail"), 2: (501, "mail"), 3: (501, "mail"), 9: (250, "content")}
    assert not any("evil" in command for command in server.conversations[0].commands)


def test_an_international_address_needs_a_relay_that_knows_them():
    for extensions, fate in (((), (553, "mail")), (("SMTPUTF8", "8BITMIME"), (250, "content"))):
        with ScriptedServer(good(*extensions)) as server:
            desk, _, _ = run(
                server.port, messages(1, recipient="jørgen@example.org", content="Subject: ø\r\n\r\n".encode())
            )
            assert desk.fates == {0: fate}
            if extensions:
                assert "MAIL FROM:<bounce@example.org> BODY=8BITMIME SMTPUTF8" in server.conversations[0].commands


def test_a_message_larger_than_the_relay_takes_is_not_offered():
    with ScriptedServer(good("SIZE 10")) as server:
        assert run(server.port, messages(1))[0].fates == {0: (552, "mail")}


@pytest.mark.parametrize(
    ("content", "on_the_wire"),
    [
        (b"a", b"a\r\n.\r\n"),
        (b"a\nb", b"a\r\nb\r\n.\r\n"),
        (b"a\r\n.\nb", b"a\r\n..\r\nb\r\n.\r\n"),
        (b"a\n.\r\nMAIL FROM:<x>", b"a\r\n..\r\nMAIL FROM:<x>\r\n.\r\n"),
        (b"a\r.\rb", b"a\r\n..\r\nb\r\n.\r\n"),
        (b".a\r\n", b"..a\r\n.\r\n"),
        (b"", b"\r\n.\r\n"),
    ],
)
def test_nothing_can_be_smuggled_past_the_end_of_a_message(content, on_the_wire):
    assert wire_form(content) == on_the_wire


def test_wire_form_equals_smtplib():
    rng = random.Random(3)  # noqa: S311 - a test's dice
    for _ in range(2000):
        content = b"".join(rng.choices([b"a", b".", b"\r\n", b"\n", b"\r", b"x y"], k=rng.randrange(1, 12)))
        quoted = smtplib._quote_periods(smtplib._fix_eols(content.decode()).encode())
        assert wire_form(content) == quoted + (b"" if quoted.endswith(b"\r\n") else b"\r\n") + b".\r\n"
