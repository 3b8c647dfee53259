"""The loop that sends deliveries, against a relay that misbehaves in every position, on several connections at once."""

import pytest

from tests.mail.misbehaviours import MISBEHAVIOURS, Books
from tests.mail.servers import ScriptedServer
from tests.sending.loops import HASTY, Sending
from webapp.deliveries.states import Outcome

COUNT = 8


@pytest.mark.parametrize("stage", ["mail", "rcpt", "data", "content"])
@pytest.mark.parametrize("misbehaviour", MISBEHAVIOURS)
def test_whatever_a_relay_does_the_books_agree_with_the_loop(misbehaviour, stage, tmp_path):
    books = Books(stage, MISBEHAVIOURS[misbehaviour], 3)
    with ScriptedServer(lambda conversation: books.script(conversation, ("PIPELINING",))) as server:
        with Sending(tmp_path, server.port, connections=2, timeouts=HASTY) as sending:
            sending.fill(COUNT)
            sending.told(COUNT)
        told = {one.result.seq: one.result.outcome for one in sending.stock.told}
    assert sorted(told) == list(range(COUNT))
    assert len(books.accepted) == len(set(books.accepted)), "nobody gets two"
    for key, outcome in told.items():
        if key in books.accepted:
            assert outcome in {Outcome.SENT, Outcome.UNCONFIRMED}
        else:
            assert outcome is not Outcome.SENT
    assert sum(outcome is Outcome.UNCONFIRMED for outcome in told.values()) <= 1
