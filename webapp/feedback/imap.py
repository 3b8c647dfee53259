"""A folder of an IMAP server (RFC 3501), read without marking what it does not understand.

Mails are found by their numbers (UID), so nothing depends on what is marked as seen; how far the folder is read is kept
with the mailbox. Should the server number anew (another UIDVALIDITY), all is looked at again and known by its digest.
"""

import imaplib
import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from webapp.feedback.parts import LARGEST
from webapp.feedback.sources import Account, Mail, Place, SourceError, Trouble
from webapp.mail.session import Security

SECONDS = 10.0  # for any one answer
_AT_ONCE = 5_000  # numbers that are asked for in one search
_SEEN, _DELETED = r"(\Seen)", r"(\Deleted)"
_UID_NEXT = re.compile(rb"\bUIDNEXT (\d+)")
_UID_VALIDITY = re.compile(rb"\bUIDVALIDITY (\d+)")


class _Bounded(imaplib.IMAP4):
    """Takes no longer answers than are asked for."""

    def read(self, size: int) -> bytes:
        if size > 4 * LARGEST:
            raise self.abort("an answer is too long")
        return super().read(size)


class _BoundedTls(_Bounded, imaplib.IMAP4_SSL):
    """The same over TLS."""


class ImapFolder:
    """An open folder."""

    def __init__(self, account: Account, *, context: ssl.SSLContext | None = None) -> None:
        self._deletes = account.deletes
        self._deleted: list[str] = []
        self.place = account.place
        with _told(Trouble.UNREACHABLE):
            self._server = _connect(account, context or ssl.create_default_context())
        try:
            with _told(Trouble.LOGIN):
                self._sign_in(account)
            with _told(Trouble.FOLDER):
                self._uid_next = self._open(account.folder)
        except SourceError:
            self.close()
            raise

    def waiting(self) -> int:
        with _told(Trouble.PROTOCOL):
            return sum(len(numbers) for _, numbers in self._searches())

    def mails(self) -> Iterator[Mail | None]:
        with _told(Trouble.PROTOCOL):
            for last, numbers in self._searches():
                for number in numbers:
                    source = self._fetch(number)
                    self.place = Place(self.place.uid_validity, number)
                    if source is not None:
                        yield Mail(str(number), source, self.place)
                self.place = Place(self.place.uid_validity, last)
                yield None

    def done(self, mail: Mail, *, understood: bool) -> None:
        if not understood:
            return
        with _told(Trouble.PROTOCOL):
            self._server.uid("STORE", mail.name, "+FLAGS.SILENT", _DELETED if self._deletes else _SEEN)
        if self._deletes:
            self._deleted.append(mail.name)

    def close(self) -> None:
        # Only what we deleted goes, and only where the server can tell it from what others have (UIDPLUS, RFC 4315).
        with suppress(imaplib.IMAP4.error, OSError):
            if self._deleted and "UIDPLUS" in self._server.capabilities:
                self._server.uid("EXPUNGE", ",".join(self._deleted))
        with suppress(imaplib.IMAP4.error, OSError):
            self._server.logout()
        with suppress(OSError):  # it is closed already if the goodbye was heard
            self._server.shutdown()

    def _sign_in(self, account: Account) -> None:
        able = self._server.capabilities
        if "AUTH=PLAIN" in able:
            secret = f"\0{account.username}\0{account.password}".encode()
            self._server.authenticate("PLAIN", lambda _: secret)
        elif "LOGINDISABLED" in able:
            raise SourceError(Trouble.LOGIN, "LOGINDISABLED")
        else:
            self._server.login(account.username, account.password)
        self._server.capabilities = _capabilities(self._server)

    def _open(self, folder: str) -> int:
        """Open the folder; return the number that its next mail will have."""
        name = '"' + folder.replace("\\", "\\\\").replace('"', '\\"') + '"'
        answer, told = self._server.status(name, "(UIDNEXT UIDVALIDITY)")
        line = b" ".join(part for part in told if isinstance(part, bytes))
        following, validity = _UID_NEXT.search(line), _UID_VALIDITY.search(line)
        if answer != "OK" or following is None or validity is None:
            raise SourceError(Trouble.FOLDER, line.decode("utf-8", "replace"))
        answer, told = self._server.select(name)
        if answer != "OK":
            raise SourceError(Trouble.FOLDER, b" ".join(part for part in told if part).decode("utf-8", "replace"))
        if int(validity[1]) != self.place.uid_validity:
            self.place = Place(int(validity[1]), 0)
        return int(following[1])

    def _searches(self) -> Iterator[tuple[int, list[int]]]:
        """Yield the numbers of mails that are to be read, a part of all numbers at a time: a folder may hold very many."""
        last = self.place.last_uid
        while last + 1 < self._uid_next:
            first, last = last + 1, min(last + _AT_ONCE, self._uid_next - 1)
            answer, told = self._server.uid("SEARCH", "UID", f"{first}:{last}")
            if answer != "OK":
                raise SourceError(Trouble.PROTOCOL, told)
            numbers = sorted(int(word) for part in told if part for word in part.split())
            yield last, [number for number in numbers if first <= number <= last]

    def _fetch(self, number: int) -> bytes | None:
        """Return the beginning of a mail; None if it is gone."""
        answer, told = self._server.uid("FETCH", str(number), f"(BODY.PEEK[]<0.{LARGEST}>)")
        if answer != "OK":
            raise SourceError(Trouble.PROTOCOL, told)
        return next((part[1] for part in told if isinstance(part, tuple)), None)


def _connect(account: Account, context: ssl.SSLContext) -> imaplib.IMAP4:
    if account.tls == Security.IMPLICIT:
        return _BoundedTls(account.host, account.port, ssl_context=context, timeout=SECONDS)
    server = _Bounded(account.host, account.port, timeout=SECONDS)
    if account.tls == Security.STARTTLS:
        try:
            with _told(Trouble.TLS):
                server.starttls(context)
        except SourceError:
            with suppress(OSError):  # it has half become another socket
                server.shutdown()
            raise
    return server


def _capabilities(server: imaplib.IMAP4) -> tuple[str, ...]:
    answer, told = server.capability()
    words = b" ".join(part for part in told if isinstance(part, bytes)) if answer == "OK" else b""
    return tuple(words.decode("ascii", "replace").upper().split())


@contextmanager
def _told(trouble: Trouble) -> Iterator[None]:
    """Turn what the library raises into a SourceError; `trouble` is what a plain refusal means here."""
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        raise SourceError(Trouble.CERTIFICATE, error.verify_message) from error
    except ssl.SSLError as error:
        raise SourceError(Trouble.TLS, error.reason or error) from error
    except TimeoutError as error:
        raise SourceError(Trouble.TIMEOUT, error) from error
    except imaplib.IMAP4.abort as error:
        broken = trouble is not Trouble.TLS  # that a server has no STARTTLS is an abort, too
        raise SourceError(Trouble.PROTOCOL if broken else trouble, _plain(error)) from error
    except (imaplib.IMAP4.error, UnicodeError) as error:
        raise SourceError(trouble, _plain(error)) from error
    except OSError as error:
        raise SourceError(Trouble.UNREACHABLE, error) from error
    except ValueError as error:
        raise SourceError(Trouble.PROTOCOL, error) from error


def _plain(error: Exception) -> str:
    if isinstance(error, UnicodeError):
        return "this server takes only letters of ASCII in user names and passwords"
    told = error.args[0] if error.args else ""
    return told.decode("utf-8", "replace") if isinstance(told, bytes) else str(told)
