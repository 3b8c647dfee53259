"""What counts as written, over TLS too, where a record goes as a whole or not at all."""

import socket
import threading

import pytest

from tests.mail.certificates import make_certificate
from webapp.mail.wire import RelayError, Wire

LOT = b"x" * 3_000_000


@pytest.fixture
def pair(tmp_path):
    """Return both ends of a TLS connection."""
    of_server, of_client = make_certificate(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        far, _ = listener.accept()
    near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    ends = []
    thread = threading.Thread(target=lambda: ends.append(of_server.wrap_socket(far, server_side=True)))
    thread.start()
    wire = Wire(near)
    wire.secure(of_client, "127.0.0.1")
    thread.join()
    ends[0].settimeout(0.3)
    yield wire, ends[0]
    wire.close()
    ends[0].close()


def read_all(end):
    total = 0
    try:
        while data := end.recv(65_536):
            total += len(data)
    except OSError:
        pass
    return total


def test_what_the_relay_could_read_over_tls_counts_as_written(pair):
    wire, relay = pair
    wire.unblock()
    written = wire.write_some(memoryview(LOT))
    assert 0 < read_all(relay) <= written < len(LOT)


def test_what_the_relay_could_read_before_a_write_over_tls_failed_counts_as_written(pair):
    wire, relay = pair
    with pytest.raises(RelayError):
        wire.write(LOT, 0.3)
    assert 0 < read_all(relay) <= len(LOT) - wire.unwritten < len(LOT)
