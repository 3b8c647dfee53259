"""The programs of one machine, and the configuration of the supervisor that keeps them running."""

import os
import resource
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from webapp.local import execute, processes
from webapp.settings import Settings

ROOT = Path(__file__).resolve().parent.parent.parent
QUEUES = ("prepare", "send", "mail", "imports")


@dataclass(frozen=True)
class Program:
    """One program: what it is called, what runs, how it is told to stop, and how many of it there are."""

    name: str
    command: Sequence[str]
    stop: str = "TERM"
    patience: int = 10
    count: int = 1
    ready: bool = False  # the command is wrapped already


def python(module: str, *words: str) -> list[str]:
    """The command line of one of our modules."""
    return [sys.executable, "-m", module, *words]


def web(settings: Settings) -> Program:
    """The web server."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    words = ["--config", "python:webapp.web.serving", "--bind", f"{host}:{settings.port}"]
    words += ["--workers", str(settings.workers_web), "--log-level", "warning", "wsgi:app"]
    return Program("web", python("gunicorn", *words))


def work(settings: Settings) -> list[Program]:
    """Workers, one pool for each queue, the scheduler, and the folding of opens and clicks into the database."""
    workers = [
        Program(f"worker-{queue}", python("jobs.worker", queue), count=settings.workers_send if queue == "send" else 1)
        for queue in QUEUES
    ]
    return [*workers, Program("schedule", python("jobs.schedule")), Program("ingest", python("jobs.ingest"))]


def extras(settings: Settings) -> list[Program]:
    """The catch-all relay, and the demo recipients when the demo is on."""
    found = [Program("relay", python("webapp.local.relay"))] if settings.catchall_port else []
    if settings.demo and settings.catchall_port:
        found.append(Program("recipients", python("webapp.local.recipients")))
    return found


def present(program: Program) -> bool:
    """Whether the module that the program runs is there."""
    return program.ready or find_spec(program.command[2]) is not None


def configuration(settings: Settings, sockets: Path, programs: Sequence[Program]) -> str:
    """The supervisor's configuration file."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    lines = [
        "[unix_http_server]",
        f"file={_escape(str(socket_of(sockets)))}",
        "chmod=0700",
        "[rpcinterface:supervisor]",
        "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface",
        "[supervisord]",
        f"logfile={_escape(str(settings.sendoff_var / 'log' / 'supervisor.log'))}",
        f"pidfile={_escape(str(settings.sendoff_var / 'run' / 'supervisord.own'))}",
        "logfile_maxbytes=1MB",
        "logfile_backups=1",
        "nodaemon=true",
        "silent=true",
        f"minfds={65536 if most == resource.RLIM_INFINITY else min(most, 65536)}",
        "minprocs=1",
    ]
    if os.geteuid() == 0:
        lines.append("user=root")
    for program in programs:
        lines += _section(settings, program)
    # Should the supervisor be told to end by itself, it ends the highest number first, each group at once.
    ours = [program.name for program in programs if not program.ready]
    lines += ["[group:sendoff]", f"programs={','.join(ours)}", "priority=900"]
    return "\n".join(lines) + "\n"


def socket_of(sockets: Path) -> Path:
    """The socket by which the supervisor is told what to do."""
    return sockets / "supervisor.sock"


def marked(var: Path) -> list[int]:
    """Processes that only a start on this folder can have made: both our marks are in their environment."""
    wanted = {f"{execute.MARK}=".encode(), f"SENDOFF_VAR={var}".encode()}
    own, found = {os.getpid(), os.getppid()}, []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        marks = {word if word.startswith(b"SENDOFF_VAR=") else word.partition(b"=")[0] + b"=" for word in words}
        if wanted <= marks and int(folder.name) not in own:
            found.append(int(folder.name))
    return found


def process_files(var: Path) -> list[Path]:
    """The process files of all that this installation runs or ran."""
    return sorted((var / "run").glob("*.pid"))


def _section(settings: Settings, program: Program) -> list[str]:
    several = program.count > 1
    name = program.name + ("-%(process_num)d" if several else "")
    file = _escape(str(settings.sendoff_var / "run")) + f"/{name}.pid"
    if program.ready:
        command = _escape(shlex.join(program.command))
    else:
        marker = Path("PROCESS-FILE")
        command = _escape(shlex.join(processes.wrapped(program.command, process_file=marker)))
        command = command.replace("PROCESS-FILE", shlex.quote(file) if "'" not in file else file, 1)
    return [
        f"[program:{program.name}]",
        f"command={command}",
        f"process_name={name}",
        f"numprocs={program.count}",
        f"directory={_escape(str(ROOT))}",
        "autostart=false",
        f"priority={100 if program.name == 'postgres' else 200}",
        "autorestart=true",
        "startsecs=1",
        "startretries=5",  # given up after 15 seconds; the starter says so and tries on (run.py)
        f"stopsignal={program.stop}",
        f"stopwaitsecs={program.patience}",
        "killasgroup=true",
        "redirect_stderr=true",
        f"stdout_logfile={_escape(str(settings.sendoff_var / 'log'))}/{name}.log",
        "stdout_logfile_maxbytes=5MB",
        "stdout_logfile_backups=1",
    ]


def _escape(text: str) -> str:
    return text.replace("%", "%%")
