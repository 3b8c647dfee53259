"""A Maildir: each mail a file in `new` until it has been dealt with, then in `cur`, marked as seen.

Read by hand rather than by the standard library's `mailbox`: a mail is read as far as it is looked at, however large it is,
and only what is a plain file is opened.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from webapp.feedback.parts import LARGEST
from webapp.feedback.sources import Mail, Place, SourceError, Trouble

_SEEN = ":2,S"


class Maildir:
    """An open Maildir."""

    def __init__(self, folder: Path, *, deletes: bool) -> None:
        self._new, self._cur = folder / "new", folder / "cur"
        self._deletes = deletes
        self.place = Place()
        for part in (self._new, self._cur):
            if not part.is_dir() or not os.access(part, os.R_OK | os.W_OK | os.X_OK):
                raise SourceError(Trouble.FOLDER, part)

    def waiting(self) -> int:
        return len(self._names())

    def mails(self) -> Iterator[Mail | None]:
        for name in self._names():
            source = self._read(self._new / name)
            if source is not None:
                yield Mail(name, source, self.place)

    def done(self, mail: Mail, *, understood: bool) -> None:
        file = self._new / mail.name
        try:
            if understood and self._deletes:
                file.unlink(missing_ok=True)
            elif file.exists():
                file.rename(self._cur / (mail.name.partition(":")[0] + (_SEEN if understood else ":2,")))
        except OSError as error:
            raise SourceError(Trouble.FOLDER, error) from error

    def close(self) -> None:
        """There is nothing to close."""

    def _names(self) -> list[str]:
        try:
            return sorted(file.name for file in self._new.iterdir() if not file.name.startswith("."))
        except OSError as error:
            raise SourceError(Trouble.FOLDER, error) from error

    def _read(self, path: Path) -> bytes | None:
        """Return the beginning of a file; None if it is none, or gone meanwhile."""
        try:
            if not stat.S_ISREG(path.lstat().st_mode):
                return None
            with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
                return file.read(LARGEST)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise SourceError(Trouble.FOLDER, error) from error
