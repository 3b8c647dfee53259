"""Where the Unix sockets lie: a path longer than the kernel's 107 bytes, or one with odd characters, moves to the temp folder."""

import hashlib
import os
import re
import stat
import tempfile
from pathlib import Path

from webapp.local.processes import LocalError

LONGEST_FOLDER = 80  # leaves room for "/.s.PGSQL.5432" and the like within 107 bytes


def socket_folder(var: Path) -> Path:
    """The folder for this installation's sockets, made if need be, for its owner only."""
    wanted = var.resolve() / "run"
    if len(os.fsencode(wanted)) <= LONGEST_FOLDER and re.fullmatch(r"[\w./+-]+", str(wanted), re.ASCII):
        for folder in (wanted.parent, wanted):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return wanted
    mark = hashlib.sha256(os.fsencode(wanted)).hexdigest()[:12]
    short = Path(tempfile.gettempdir()) / f"sendoff-{os.getuid()}-{mark}"
    short.mkdir(mode=0o700, exist_ok=True)
    told = short.lstat()
    if not stat.S_ISDIR(told.st_mode) or told.st_uid != os.getuid() or told.st_mode & 0o077:
        raise LocalError(f"{short} belongs to somebody else: remove it, or set SENDOFF_VAR to a shorter path")
    return short
