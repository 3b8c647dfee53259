"""A process of its own that is sending, and dies in the middle."""

import subprocess
import sys

from webapp.sending.journal import path_of

_DIES = """
import sys
from pathlib import Path
from webapp.sending.journal import Journal
own = Journal(Path(sys.argv[1]), list(range(10)))
own.hand(0)
own.hand(1)
own.answer(1, outcome=2, code=250)
"""


def die(folder, token, *, doing=_DIES):
    """Run a process with the journal of a claim, to its end. Unless told otherwise one of ten messages is answered, one only handed over."""
    subprocess.run([sys.executable, "-c", doing, str(path_of(folder, token))], check=True, timeout=60)
