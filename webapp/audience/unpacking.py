"""Uploaded files that are packed: gzip, or a zip with one file in it, or with one for each status. What would unpack to far too much is refused."""

import zipfile
import zlib
from collections.abc import Iterator
from typing import IO

from webapp.audience import statusfiles
from webapp.errors import Invalid
from webapp.words import _l

MOST = 2_000_000_000  # bytes of an unpacked file
MOST_FOLD = 250  # as many times larger; the most repetitive lists of people shrink to a hundredth
SMALL = 10_000_000  # bytes up to which that is not asked

_GZIP = b"\x1f\x8b"
_ZIP = b"PK\x03\x04"
_SPREADSHEETS = ("[Content_Types].xml", "mimetype", "META-INF/manifest.xml")

_TOO_MUCH = _l("Unpacked, this file is too large. Split it and upload the parts.")
_BROKEN = _l("This packed file is broken or not complete. Pack it again, or upload the CSV file itself.")


def pieces(file: IO[bytes], size: int) -> Iterator[bytes]:
    """Read a file in pieces of about `size` bytes, unpacked if it is packed."""
    start = file.read(4)
    file.seek(0)
    if start.startswith(_GZIP):
        yield from _bounded(_gunzip(file, size), packed=file)
    elif start.startswith(_ZIP):
        yield from _bounded(_unzip(file, size), packed=file)
    else:
        yield from iter(lambda: file.read(size), b"")


def _gunzip(file: IO[bytes], size: int) -> Iterator[bytes]:
    unpacker, packed = _unpacker(), file.read(size)
    try:
        while packed:
            yield unpacker.decompress(packed, size)
            packed = unpacker.unconsumed_tail
            if unpacker.eof:  # a gzip file may be several, one after the other
                packed = unpacker.unused_data or file.read(size)
                if packed:
                    unpacker = _unpacker()
            packed = packed or file.read(size)
    except zlib.error:
        raise Invalid(_BROKEN, field="file") from None
    if not unpacker.eof:
        raise Invalid(_BROKEN, field="file")


def _unpacker() -> "zlib._Decompress":
    return zlib.decompressobj(zlib.MAX_WBITS | 16)


def _unzip(file: IO[bytes], size: int) -> Iterator[bytes]:
    try:
        with zipfile.ZipFile(file) as packed:
            files = _files(packed)
            if all(statusfiles.status_of(one.filename) for one in files):
                yield from statusfiles.together(packed, files, size)
                return
            with packed.open(files[0]) as one:
                yield from iter(lambda: one.read(size), b"")
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError):
        raise Invalid(_BROKEN, field="file") from None


def _files(packed: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """Return the one file, or those of which each says by its name what the people in it are."""
    if any(name in _SPREADSHEETS for name in packed.namelist()):
        message = _l("This is a spreadsheet. Open it and save it as CSV, then upload that file.")
        raise Invalid(message, field="file")
    files = [one for one in packed.infolist() if not one.is_dir() and not one.filename.startswith(("__MACOSX/", "."))]
    if len(files) != 1 and not (files and all(statusfiles.status_of(one.filename) for one in files)):
        raise Invalid(_l("A zip file must hold one CSV file. Unpack it and upload each of them."), field="file")
    if any(one.flag_bits & 1 for one in files):
        raise Invalid(_l("This zip file needs a password. Unpack it, then upload the CSV file in it."), field="file")
    return files


def _bounded(found: Iterator[bytes], *, packed: IO[bytes]) -> Iterator[bytes]:
    """Pass pieces on until they are more than a file of people can come to."""
    at = packed.tell()
    size = packed.seek(0, 2)
    packed.seek(at)
    most, total = max(SMALL, min(MOST, size * MOST_FOLD)), 0
    for piece in found:
        total += len(piece)
        if total > most:
            raise Invalid(_TOO_MUCH, field="file")
        yield piece
