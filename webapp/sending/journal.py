"""The journal of what is on the wire: one small shared file for each claim, so that a crash leaves in doubt only what was in flight.

A sender marks a message *handed* before the first byte of its content is written and *answered* when the relay has spoken. Both
are single stores into a shared memory map, so they survive the death of the process (not of the machine: a journal of another
boot is not believed). Whoever rescues a claim *seals* its journal first; a sender that wakes up late then keeps its messages back.
"""

import mmap
import os
import struct
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from webapp.mail.replies import Kind

_HEADER = struct.Struct("<4s16sQQII")  # magic, boot, pid namespace, start of the process, pid, number of messages
_MAGIC = b"SOJ1"
_SEAL = _HEADER.size
_SEQS = _SEAL + 8
_NOTE = struct.Struct("<BBH")  # state, outcome, code and (above its ten bits) kind
#: What a core may still hold back of a mark made before the seal is long visible after this (store buffers drain in nanoseconds).
SETTLE_SECONDS = 0.05

UNTOUCHED, HANDED, ANSWERED = 0, 1, 2
#: Places are written to disk: new kinds come last.
_KINDS = (Kind.ACCEPTED, Kind.HARD, Kind.SOFT, Kind.POLICY, Kind.CONTENT, Kind.RELAY)
_CODE_BITS = 10
_KIND_MARKS = {kind: place << _CODE_BITS for place, kind in enumerate(_KINDS)}


@dataclass(frozen=True, slots=True)
class Note:
    """What the journal knows about one message: UNTOUCHED, HANDED or ANSWERED with an outcome, a code and whom it is about."""

    state: int
    outcome: int = 0
    code: int = 0
    kind: Kind = Kind.ACCEPTED


class Journal:
    """The sender's end. Places are positions in `seqs`."""

    def __init__(self, path: Path, seqs: list[int]) -> None:
        self._path = path
        head = _HEADER.pack(_MAGIC, _boot(), _namespace(), _started(os.getpid()), os.getpid(), len(seqs))
        body = head + bytes(8) + struct.pack(f"<{len(seqs)}i", *seqs) + bytes(_NOTE.size * len(seqs))
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "w+b") as file:
                # All of it is written, so that there is room for it: a mark made in a hole of a full disk would kill us.
                file.write(body)
                file.flush()
                self._map = mmap.mmap(handle, len(body))
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        self._number = len(seqs)
        self._notes = _SEQS + 4 * len(seqs)

    def hand(self, place: int) -> bool:
        """Mark a message handed and say whether it may go; if not, nothing of it may be written."""
        at = self._notes + _NOTE.size * place
        self._map[at] = HANDED
        return not self._map[_SEAL]

    def take_back(self, place: int) -> None:
        """Mark a message untouched again: the relay cannot have accepted it."""
        if not self._map[_SEAL]:
            self._map[self._notes + _NOTE.size * place] = UNTOUCHED

    def answer(self, place: int, *, outcome: int, code: int, kind: Kind = Kind.ACCEPTED) -> None:
        """Note what became of a message; its state is written last."""
        at = self._notes + _NOTE.size * place
        self._map[at + 1 : at + 4] = struct.pack("<BH", outcome, code | _KIND_MARKS[kind])
        self._map[at] = ANSWERED

    def untouched(self, seqs: Iterable[int]) -> bool:
        """Whether nothing is noted about any of these messages."""
        notes = _notes(self._map, self._number)
        return all(notes[seq].state == UNTOUCHED for seq in seqs)

    def discard(self) -> None:
        """Everything is in the database: the journal is of no more use."""
        self._map.close()
        self._path.unlink(missing_ok=True)


class Finding:
    """The rescuer's end: a journal found on disk."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)
        magic, boot, namespace, start, pid, number = _HEADER.unpack_from(self._map)
        self._start: int = start
        self._pid: int = pid
        if magic != _MAGIC or len(self._map) != _SEQS + number * (4 + _NOTE.size):
            raise ValueError("not a journal")
        self._number: int = number
        self.of_this_boot: bool = boot == _boot()
        self._ours = bool(self.of_this_boot and namespace == _namespace())

    @property
    def owner_is_dead(self) -> bool:
        """Whether its process is surely gone; False also when that cannot be seen from here."""
        return self._ours and _started(self._pid) != self._start

    def seal(self) -> None:
        """Keep its sender from handing over anything more."""
        self._map[_SEAL] = 1
        time.sleep(SETTLE_SECONDS)

    def notes(self) -> dict[int, Note]:
        """Return what is noted about each message."""
        return _notes(self._map, self._number)

    def close(self) -> None:
        self._map.close()

    def discard(self) -> None:
        """Its claim has been rescued."""
        self.close()
        self._path.unlink(missing_ok=True)


def _notes(journal: mmap.mmap, number: int) -> dict[int, Note]:
    seqs = struct.unpack_from(f"<{number}i", journal, _SEQS)
    start = _SEQS + 4 * number
    return {seq: _note(*_NOTE.unpack_from(journal, start + _NOTE.size * place)) for place, seq in enumerate(seqs)}


def _note(state: int, outcome: int, marks: int) -> Note:
    return Note(state, outcome, marks & (1 << _CODE_BITS) - 1, _KINDS[min(marks >> _CODE_BITS, len(_KINDS) - 1)])


def path_of(folder: Path, token: UUID) -> Path:
    """Return where the journal of a claim is kept."""
    return folder / token.hex


def tokens(folder: Path) -> list[UUID]:
    """Return the claims whose journals lie here."""
    found = []
    for path in folder.glob("*"):
        with suppress(ValueError):
            found.append(UUID(hex=path.name))
    return found


def find(folder: Path, token: UUID) -> Finding | None:
    """Return the journal of a claim if it lies here, is whole and was written since this machine started."""
    finding = None
    with suppress(OSError, ValueError, struct.error):
        finding = Finding(path_of(folder, token))
    if finding is not None and not finding.of_this_boot:
        finding.close()
        return None
    return finding


def _boot() -> bytes:
    try:
        return UUID(Path("/proc/sys/kernel/random/boot_id").read_text().strip()).bytes
    except (OSError, ValueError):
        return bytes(16)


def _namespace() -> int:
    try:
        return Path("/proc/self/ns/pid").stat().st_ino
    except OSError:
        return 0


def _started(pid: int) -> int:
    """Return when a process started, in clock ticks since boot; 0 when there is none (or only its shell is left)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return 0 if fields[0] in {"Z", "X"} else int(fields[19])
