"""What the processes say, at the level of LOG_LEVEL, to standard error: whoever runs them keeps it."""

import logging
import sys
from typing import Any, TextIO

from flask import Flask

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class _Said(logging.StreamHandler[TextIO]):
    """Writes to standard error as it is at that moment."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)
        self.setFormatter(logging.Formatter(FORMAT))

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


def init_app(app: Flask) -> None:
    """Set the level, and one handler for each process."""
    level: Any = app.extensions["settings"].log_level
    for name in ("webapp", "jobs"):
        logger = logging.getLogger(name)
        logger.setLevel(level)
        if not any(isinstance(handler, _Said) for handler in logger.handlers):
            logger.addHandler(_Said())
