"""The page of a preparation in the benchmark `prepare`: watched over the real stream, as a browser does."""

import contextlib
import re
import socket
import sys

from flask import current_app
from sqlalchemy import select

from tests.web.streaming import Listener, cookie, free_port, until
from webapp.accounts.models import User
from webapp.db import db, transaction
from webapp.deliveries.preparation_words import STAGES

SHORTEST = 1.0  # seconds that a stage must take for its updates to be counted
_STAGE = re.compile(r'<li aria-current="step">.*?<b>([^<]+)</b>', re.DOTALL)


def serve(start):
    """Start the web server as it is in production; return its port."""
    port = free_port()
    words = ["--bind", f"127.0.0.1:{port}", "--worker-class", "gevent", "--workers", "1", "--no-control-socket"]
    start("gunicorn", *words, "--log-level", "error", "wsgi:app", stdout=sys.stderr)
    return port


@contextlib.contextmanager
def watched(port, delivery_id):
    """Watch the page of a delivery while the block runs; yield the listener."""
    with transaction():
        user_id = db.session.scalar(select(User.id).where(User.email == "p@example.com"))
    if not until(lambda: answers(port), patience=60):
        raise RuntimeError("The web server does not answer.")
    kept_as = current_app.config["SESSION_COOKIE_NAME"]
    listener = Listener(port, f"delivery:{delivery_id}", cookie(current_app, user_id), kept_as=kept_as)
    try:
        if not until(lambda: listener.of(f"delivery-{delivery_id}-prepare")):
            raise RuntimeError("The stream does not show the page.")
        yield listener
        if not until(lambda: not _STAGE.search(listener.of(f"delivery-{delivery_id}-prepare")[-1])):
            raise RuntimeError("The page does not show the end.")
    finally:
        listener.close()


def answers(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def updates(listener, stages):
    """Return how often the page moved in a second while each of these stages (name, seconds) was shown as going on."""
    shown = [(moment, _STAGE.search(data)) for moment, (_name, data) in _moved(listener)]
    found = {}
    for name, seconds in stages.items():
        label = str(STAGES[name][0])
        at = [place for place, (_moment, stage) in enumerate(shown) if stage and stage[1] == label]
        if seconds >= SHORTEST:
            until_next = shown[at[-1] + 1][0] - shown[at[0]][0] if at else 0
            found[name] = len(at) / until_next if at else 0.0
    return found


def _moved(listener):
    both = zip(listener.moments, listener.events, strict=False)
    return [(moment, event) for moment, event in both if event[0].endswith("-prepare")]
