"""Mail to the product itself, as the built-in relay gets it: kept in a Maildir that Sendoff reads like any other mailbox."""

from mailbox import Maildir

from webapp.local.smtp import Envelope
from webapp.mail.addresses import read_return_path
from webapp.settings import Settings

_TOKEN = 21  # bytes


def unsubscribe_address(settings: Settings) -> str:
    """Return the address that unsubscribes by mail, where the built-in relay is the only one."""
    return f"unsubscribe@{settings.mail_from.rpartition('@')[2]}".lower()


class Returned:
    """The Maildir, and what belongs into it."""

    def __init__(self, settings: Settings) -> None:
        self._own = unsubscribe_address(settings)
        self._maildir = Maildir(settings.returned, create=True)

    def is_own(self, address: str) -> bool:
        """Say whether an address is a return path, or the one for unsubscribing."""
        token = read_return_path(address)
        return address.lower() == self._own or (token is not None and len(token) == _TOKEN)

    def keep(self, envelope: Envelope) -> list[str]:
        """Keep a message once for each of our addresses; return the others. Raises OSError when it cannot be kept."""
        for address in filter(self.is_own, envelope.rcpt_to):
            trace = f"Return-Path: <{envelope.mail_from}>\r\nDelivered-To: {address}\r\n"
            self._maildir.add(trace.encode() + envelope.source)
        return [address for address in envelope.rcpt_to if not self.is_own(address)]
