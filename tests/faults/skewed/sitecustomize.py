"""Python imports this at its start where it finds it: the product's clock then goes wrong by as much as a file says.

Only the clock is replaced, in the one place where the product reads it; timeouts and leases run by the same code as ever.
"""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from webapp import clock


def skew(file):
    def now():
        try:
            wrong = float(file.read_text() or 0)
        except OSError:
            wrong = 0.0
        return datetime.now(UTC) + timedelta(seconds=wrong)

    clock.now = now


if "SENDOFF_SKEW" in os.environ:
    skew(Path(os.environ["SENDOFF_SKEW"]))
