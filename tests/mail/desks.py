"""A desk that notes the fate of each message, and the shortest way to send some."""

from dataclasses import replace

from webapp.mail.exchange import Outgoing
from webapp.mail.session import Target, Timeouts
from webapp.mail.smtp import SmtpClient
from webapp.mail.wire import RelayError

QUICK = Timeouts(connect=60, command=2, content=2)
PATIENT = Timeouts(connect=60, command=60, content=60)
BODY = b"Subject: x\r\n\r\n.dot\r\n..two\r\nend\r\n"


class Desk:
    """Notes what became of each message, and that nothing is told twice."""

    def __init__(self, keep_back=()):
        self.fates = {}
        self.handed = []
        self.keep_back = keep_back

    def hand(self, message):
        if message.key in self.keep_back:
            return False
        self.handed.append(message.key)
        return True

    def note(self, message, fate):
        assert message.key not in self.fates, "told twice"
        self.fates[message.key] = fate

    def answered(self, message, reply, stage):
        self.note(message, (reply.code, str(stage)))

    def unsure(self, message, _error):
        self.note(message, "unsure")

    def returned(self, message, _reply=None, **_how):
        self.note(message, "returned")


def messages(number, content=BODY, recipient="r{}@example.com"):
    return [Outgoing(key, "bounce@example.org", recipient.format(key), content) for key in range(number)]


def opened(port, *, timeouts=QUICK, **target):
    """Return a client with an open connection; its patience is short from then on only."""
    client = SmtpClient(Target("127.0.0.1", port, timeouts=PATIENT, **target))
    client.open()
    client.target = replace(client.target, timeouts=timeouts)
    return client


def run(port, source, desk=None, **target):
    desk = desk or Desk()
    client = opened(port, **target)
    error = None
    try:
        client.pump(source, desk)
        client.quit()
    except RelayError as trouble:
        error = trouble
    assert not error or not client.is_open
    return desk, client, error


def good(*extensions, replies=None):
    def script(conversation):
        conversation.greet(*extensions)
        conversation.serve(replies)

    return script
