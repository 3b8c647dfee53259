"""Postfix for tests and benchmarks, from the Debian package: its programs unpacked beside the environment, and a server that
throws away what it takes. Nothing is installed, and nothing leaves the machine.
"""

import contextlib
import grp
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

#: Where the package is unpacked: it goes when the environment goes.
UNPACKED = Path(sys.prefix) / "postfix"
MISSING = "Postfix is not here: install the Debian package `postfix`, or make `apt-get download postfix` work"
_SERVICES = """
{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
anvil unix - - n - 1 anvil
tlsmgr unix - - n 1000? 1 tlsmgr
discard unix - - n - - discard
error unix - - n - - error
proxymap unix - - n - - proxymap
postlog unix-dgram n - n - 1 postlogd
"""
_SETTINGS = """
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
command_directory = {programs}/usr/sbin
daemon_directory = {programs}/usr/lib/postfix/sbin
shlib_directory = {programs}/usr/lib/postfix
mail_owner = {owner}
setgid_group = {group}
myhostname = relay.example
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
smtputf8_enable = yes
maillog_file = {folder}/data/maillog
maillog_file_prefixes = {folder}
default_transport = discard
local_transport = discard
mynetworks = 127.0.0.0/8
alias_maps =
alias_database =
smtpd_recipient_restrictions = permit_mynetworks, reject
import_environment = MAIL_CONFIG MAIL_LOGTAG TZ LD_LIBRARY_PATH PATH
"""


def programs() -> Path | None:
    """Return the root that Postfix's programs lie under (usr/sbin, usr/lib/postfix), fetched if need be; None without them."""
    if Path("/usr/sbin/smtp-sink").exists():
        return Path("/")
    if not (UNPACKED / "usr/sbin/smtp-sink").exists() and not _unpack():
        return None
    return UNPACKED


def environment(root: Path) -> dict[str, str]:
    """Return the environment in which the programs find their libraries."""
    return {**os.environ, "LD_LIBRARY_PATH": str(root / "usr/lib/postfix")}


def _unpack() -> bool:
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        return False
    folder = UNPACKED.with_suffix(f".{os.getpid()}")
    folder.mkdir(parents=True)
    try:
        fetched = subprocess.run(["apt-get", "download", "postfix"], cwd=folder, capture_output=True, check=False)
        packages = list(folder.glob("postfix_*.deb"))
        if fetched.returncode or not packages:
            return False
        subprocess.run(["dpkg", "-x", packages[0], folder], check=True)
        packages[0].unlink()
        with contextlib.suppress(OSError):  # somebody else was faster
            folder.rename(UNPACKED)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return (UNPACKED / "usr/sbin/smtp-sink").exists()


class Postfix:
    """A Postfix on a free port of loopback. `folder` must be reachable by an ordinary user; needs root, as Postfix does."""

    def __init__(self, root: Path, folder: Path, *, settings: str = "") -> None:
        self._root, self._folder = root, folder
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        owner, group = _owner()
        (folder / "conf").mkdir()
        told = _SETTINGS.format(folder=folder, programs=str(root).rstrip("/"), owner=owner.pw_name, group=group.gr_name)
        (folder / "conf/main.cf").write_text(told + settings)
        (folder / "conf/master.cf").write_text(_SERVICES.format(port=self.port))
        queues = ("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private", "saved")
        for name in ("data", "queue", *(f"queue/{queue}" for queue in (*queues, "trace", "maildrop", "public", "pid"))):
            (folder / name).mkdir()
            os.chown(folder / name, 0 if name in {"queue", "queue/pid"} else owner.pw_uid, group.gr_gid)

    @property
    def log(self) -> str:
        """What it has written so far."""
        file = self._folder / "data/maillog"
        return file.read_text(errors="replace") if file.exists() else ""

    def taken(self) -> list[str]:
        """Return the Message-IDs it has taken on, in order."""
        return re.findall(r"message-id=<([^>]+)>", self.log)

    @contextlib.contextmanager
    def running(self) -> Iterator["Postfix"]:
        """Start it, wait until it answers, and stop it at the end."""
        master = [self._root / "usr/lib/postfix/sbin/master", "-c", self._folder / "conf", "-d"]
        # A session of its own: on its end it kills its whole process group.
        process = subprocess.Popen(master, env=environment(self._root), start_new_session=True)
        try:
            self._wait(process)
            yield self
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            process.wait(60)

    def _wait(self, process: "subprocess.Popen[bytes]") -> None:
        until = time.monotonic() + 60
        while time.monotonic() < until and process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as probe:
                probe.settimeout(5)
                if probe.recv(100).startswith(b"220"):
                    return
            time.sleep(0.02)
        raise RuntimeError(f"Postfix did not start: {self.log[-2000:]}")


def _owner() -> tuple[pwd.struct_passwd, grp.struct_group]:
    """Choose who its processes run as: an ordinary user of the system, and a group that is nobody's own."""
    users = pwd.getpwall()
    owner = next(user for user in users if user.pw_name in {"postfix", "news", "games", "daemon"})
    own = {user.pw_gid for user in users}
    group = next(one for one in grp.getgrall() if one.gr_gid not in own)
    return owner, group
