import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from webapp.local import execute, postgres, processes, redis
from webapp.local.processes import LocalError
from webapp.local.sockets import socket_folder


def _query(url_sockets: Path, text: str):
    with postgres.connect(url_sockets) as connection:
        return connection.execute(text).fetchone()


def test_the_embedded_servers_answer_and_know_unicode(services):
    sockets = socket_folder(services.folder)
    assert _query(sockets, "SELECT lower('ÅÆØ Ł Ğ Ω')") == ("åæø ł ğ ω",)
    assert redis.answers(sockets)


def test_data_is_kept_over_a_restart_and_nothing_is_left_running(tmp_path):
    sockets = socket_folder(tmp_path)
    for turn in range(2):
        server = postgres.start(tmp_path / "postgres", sockets, test=True)
        pid = server.process.pid
        with postgres.connect(sockets) as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS kept (turn int)")
            connection.execute("INSERT INTO kept VALUES (%s)", [turn])
            assert connection.execute("SELECT count(*) FROM kept").fetchone() == (turn + 1,)
        server.stop()
        assert execute.start_time(pid) == ""
    assert list((tmp_path / "run").rglob("*.pid")) == []


def _start_in_a_child(folder: Path) -> subprocess.Popen:
    program = (
        "import sys, time, pathlib\n"
        "from webapp.local import postgres, redis\n"
        "from webapp.local.sockets import socket_folder\n"
        "folder = pathlib.Path(sys.argv[1]); sockets = socket_folder(folder)\n"
        "a = postgres.start(folder / 'postgres', sockets, test=True); b = redis.start(folder / 'redis', sockets, test=True)\n"
        "print(a.process.pid, b.process.pid, flush=True); time.sleep(600)\n"
    )
    return subprocess.Popen([sys.executable, "-c", program, str(folder)], stdout=subprocess.PIPE, text=True)


def test_the_servers_end_when_their_starter_is_killed(tmp_path):
    with _start_in_a_child(tmp_path) as starter:
        pids = [int(word) for word in starter.stdout.readline().split()]
        assert len(pids) == 2
        starter.kill()
        starter.wait()
    assert processes.wait_until(lambda: not any(execute.start_time(pid) for pid in pids), patience=60)


def test_a_server_that_outlived_its_starter_is_ended_at_the_next_start(tmp_path):
    sockets = socket_folder(tmp_path)
    first = postgres.start(tmp_path / "postgres", sockets, test=True)
    second = postgres.start(tmp_path / "postgres", sockets, test=True)
    assert first.process.wait(timeout=60) == 0
    assert _query(sockets, "SELECT 1") == (1,)
    second.stop()


def test_a_half_made_data_folder_is_made_anew(tmp_path):
    (tmp_path / "postgres" / "base").mkdir(parents=True)
    (tmp_path / "postgres" / "PG_VERSION").write_text("18\n")
    (tmp_path / "postgres.unfinished").touch()
    server = postgres.start(tmp_path / "postgres", socket_folder(tmp_path), test=True)
    server.stop()


def test_data_of_another_version_is_refused_in_words(tmp_path):
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "PG_VERSION").write_text("15\n")
    with pytest.raises(LocalError, match="made by PostgreSQL 15"):
        postgres.start(tmp_path / "postgres", socket_folder(tmp_path), test=True)


def test_no_process_is_ended_that_is_not_the_one_in_the_file(tmp_path):
    with subprocess.Popen(["/bin/sleep", "60"]) as stranger:
        (tmp_path / "x.pid").write_text(f"{stranger.pid} 12345\n")
        assert processes.alive(tmp_path / "x.pid") is None
        assert processes.end(tmp_path / "x.pid") is False
        assert stranger.poll() is None
        (tmp_path / "x.pid").write_text(f"{stranger.pid} {execute.start_time(stranger.pid)}\n")
        assert processes.end(tmp_path / "x.pid") is True
        assert stranger.wait(timeout=60) == -signal.SIGTERM


def test_a_long_or_odd_path_gets_its_sockets_in_the_temp_folder(tmp_path, monkeypatch):
    odd = tmp_path / ("å" * 60) / "with, odd 'signs'"
    odd.mkdir(parents=True)
    sockets = socket_folder(odd)
    assert len(str(sockets)) <= 80
    assert sockets == socket_folder(odd)
    server = postgres.start(odd / "postgres", sockets, test=True)
    broker = redis.start(odd / "redis", sockets, test=True)
    assert postgres.answers(sockets)
    assert redis.answers(sockets)
    broker.stop()
    server.stop()
    (sockets / "pg").rmdir()
    sockets.rmdir()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_as_root_the_server_is_another_user_in_a_folder_only_root_may_enter(tmp_path):
    tmp_path.chmod(0o700)
    server = postgres.start(tmp_path / "postgres", socket_folder(tmp_path), test=True)
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    uids = status.split("Uid:")[1].split()[:4]
    assert set(uids) == {str(postgres.own_uid(tmp_path / "postgres"))}
    assert "0" not in uids
    effective = int(status.split("CapEff:")[1].split()[0], 16)
    assert effective in {1 << execute.CAP_DAC_READ_SEARCH, 1 << execute.CAP_DAC_OVERRIDE}
    server.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.parametrize("mode", ["755", "700"])
def test_as_root_the_programs_too_may_lie_where_only_root_may_enter(tmp_path, monkeypatch, mode):
    tmp_path.chmod(0o700)
    package = postgres.programs().parent.parent
    own = tmp_path / package.name
    shutil.copytree(package, own, symlinks=True, ignore=shutil.ignore_patterns("include", "*.a"))
    for libraries in package.parent.glob(f"{package.name}.libs"):
        shutil.copytree(libraries, tmp_path / libraries.name)
    subprocess.run(["/bin/chmod", "-R", mode, str(own)], check=True)
    found = own / postgres.programs().relative_to(package)
    monkeypatch.setattr(postgres, "programs", lambda: found)
    server = postgres.start(tmp_path / "postgres", socket_folder(tmp_path), test=True)
    server.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_an_ordinary_user_gets_a_server_of_their_own(tmp_path):
    """Run the same code as an ordinary user; as tests may lie below root's folders, that one capability is kept."""
    folder = Path("/tmp") / f"sendoff-test-{os.getpid()}"  # noqa: S108 - pytest's own folders are closed to others
    folder.mkdir(mode=0o700)
    uid = 65534
    os.chown(folder, uid, uid)
    program = (
        "import sys, os, pathlib\n"
        "from webapp.local import postgres, redis\n"
        "from webapp.local.sockets import socket_folder\n"
        "folder = pathlib.Path(sys.argv[1]); sockets = socket_folder(folder)\n"
        "a = postgres.start(folder / 'postgres', sockets, test=True); b = redis.start(folder / 'redis', sockets, test=True)\n"
        "print(os.geteuid(), os.stat(f'/proc/{a.process.pid}').st_uid, b.url)\n"
        "b.stop(); a.stop()\n"
    )
    here = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-I", processes.EXECUTE]
    command += ["--uid", str(uid), "--", sys.executable, "-c", program, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=here, env={"PYTHONPATH": str(here)}, check=False)
    subprocess.run(["/bin/rm", "-r", str(folder)], check=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[:2] == [str(uid), str(uid)]


def test_a_folder_that_cannot_be_made_is_told_in_one_line(tmp_path):
    (tmp_path / "redis").write_text("a file where a folder should be")
    with pytest.raises(LocalError, match="redis cannot be made"):
        redis.start(tmp_path / "redis", socket_folder(tmp_path), test=True)
