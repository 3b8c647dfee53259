"""Start one program so that it cannot outlive its parent: set the ties, write its process file, become it.

Run as a plain script (`python -I execute.py …`), it imports nothing but the standard library, so that it costs little.
As root it can change to another user and keep just enough of a capability to reach programs and data that lie below
a folder only root may enter.
"""

import argparse
import ctypes
import os
import signal
import sys
from pathlib import Path

PR_SET_PDEATHSIG, PR_SET_KEEPCAPS, PR_SET_SECUREBITS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 1, 8, 28, 47, 2
NO_SETUID_FIXUP = 1 << 2  # without it access(2) looks away from the capability, and initdb finds no program
CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 1, 2
CAPABILITY_VERSION_3 = 0x20080522
MARK = "SENDOFF_PARENT"
LINUX = sys.platform == "linux"


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def start_time(pid: int) -> str:
    """When the process started, in the kernel's clock ticks; "" when there is none (a zombie counts as none)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]


def _write_process_file(path: str) -> None:
    Path(path).write_text(f"{os.getpid()} {start_time(os.getpid())}\n")


def _keep_one(capability: int) -> bool:
    """Give this process, and what it becomes, exactly one capability; False if the machine does not grant it."""
    libc = _libc()
    header = _Header(CAPABILITY_VERSION_3, 0)
    sets = (_Sets * 2)()
    bit = 1 << capability
    sets[0].effective = sets[0].permitted = sets[0].inheritable = bit
    if libc.capset(ctypes.byref(header), ctypes.byref(sets)) != 0:
        return False
    return bool(libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0) == 0)


def _become(uid: int, *, program: str) -> None:
    """Change to the user for good, keeping the right to reach files below root's own folders.

    A program that only root may run (made under a strict umask) takes the stronger of the two capabilities.
    """
    wanted = [CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE]
    if not Path(program).stat().st_mode & 0o001:
        wanted.reverse()
    if LINUX:
        _libc().prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)
        _libc().prctl(PR_SET_SECUREBITS, NO_SETUID_FIXUP | 1 << 4, 0, 0, 0)  # 1 << 4: as PR_SET_KEEPCAPS
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    if LINUX:
        any(_keep_one(capability) for capability in wanted)


def tie_to_parent(signal_number: int, parent: int) -> None:
    """Ask the kernel for a signal when the parent dies (also by kill -9); leave at once if it is dead already."""
    if LINUX:
        _libc().prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0)
    if parent and os.getppid() != parent:
        sys.exit("the process that started this one is gone")


def main(arguments: list[str]) -> None:
    """Parse, tie, become the program."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--process-file")
    parser.add_argument("--uid", type=int, default=0)
    parser.add_argument("--on-parent-death", default="KILL")
    parser.add_argument("--parent", type=int, default=0)
    parser.add_argument("command", nargs="+")
    options = parser.parse_args(arguments)
    os.umask(0o077)
    if options.process_file:
        _write_process_file(options.process_file)
    if options.uid:
        try:
            _become(options.uid, program=options.command[0])
        except OSError as problem:
            sys.exit(f"cannot run {Path(options.command[0]).name} as user {options.uid}: {problem.strerror}")
    # Below a supervisor the parent is known by its mark; each program passes its own number on.
    tie_to_parent(signal.Signals["SIG" + options.on_parent_death], options.parent or int(os.environ.get(MARK, "0")))
    os.environ[MARK] = str(os.getpid())
    try:
        os.execv(options.command[0], options.command)  # noqa: S606 - becoming the program is the purpose
    except OSError as problem:
        sys.exit(f"cannot run {options.command[0]}: {problem.strerror}")


if __name__ == "__main__":
    main(sys.argv[1:])
