"""What gunicorn is told: `gunicorn -c python:webapp.web.serving wsgi:app`. Read before its workers patch the standard library,
so nothing of the app is imported here.
"""  # noqa: D205

import threading
import time
from typing import Any

worker_class = "gevent"
worker_connections = 2000
graceful_timeout = 5
timeout = 60
keepalive = 5
control_socket_disable = True

_LOOK = 0.1


def post_worker_init(worker: Any) -> None:
    """Have open streams end when the worker is to stop: it would wait for them."""
    threading.Thread(target=_end_streams, args=(worker,), name="last call", daemon=True).start()


def _end_streams(worker: Any) -> None:
    from webapp.web.live import close_all  # noqa: PLC0415 - see above

    while worker.alive:
        time.sleep(_LOOK)
    while True:  # as long as it takes others in
        close_all(worker.wsgi)
        time.sleep(_LOOK)
