"""docs/operations.md and the files beside it say what is true."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from jobs import schedule
from webapp import queue
from webapp.local import environment, programs
from webapp.settings import Settings, documentation

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "operations.md").read_text()


def test_the_table_of_settings_is_complete_and_as_in_the_code():
    assert documentation() in GUIDE, "run: python -m webapp.cli settings"


def test_every_command_of_the_makefile_is_told_by_make_help():
    makefile = (ROOT / "Makefile").read_text()
    named = set(re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[1].split())
    told = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert named == set(re.findall(r"^  (\w+) +\S", told, re.MULTILINE))


def test_every_part_of_health_is_explained(app):
    told = app.test_client().get("/healthz").json
    assert all(f"`{part}`" in GUIDE for part in told)


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt", "requirements-node.txt"])
def test_locks_have_hashes_and_name_no_registry(name):
    lock = (ROOT / name).read_text()
    pins = re.findall(r"^[a-z0-9][\w.\-\[\]]*==\S+ \\$", lock, re.MULTILINE)
    assert pins
    assert lock.count("--hash=sha256:") >= len(pins)
    assert not re.search(r"https?://|--(extra-)?index-url|--find-links|--trusted-host", lock)


def test_what_runs_is_what_is_tested():
    def pins(name: str) -> dict[str, str]:
        return dict(re.findall(r"^([a-z0-9][\w.\-]*)(?:\[.*\])?==(\S+)", (ROOT / name).read_text(), re.MULTILINE))

    ours, tested = pins("requirements.txt"), pins("requirements-dev.txt")
    assert {name: tested.get(name) for name in ours} == ours


def test_front_end_versions_are_exact_and_the_lock_names_no_registry():
    import json

    package = json.loads((ROOT / "package.json").read_text())
    lock = json.loads((ROOT / "package-lock.json").read_text())
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in package["dependencies"].values())
    found = {path: one for path, one in lock["packages"].items() if path}
    assert all("resolved" not in one and one["integrity"].startswith("sha512-") for one in found.values())
    assert {path.removeprefix("node_modules/"): one["version"] for path, one in found.items()} == package[
        "dependencies"
    ]
    assert {source.split("/")[0] for source, _ in environment.ASSETS.values()} == set(package["dependencies"])


def test_set_up_explains_what_stopped_it():
    said = "WARNING: Retrying … NewConnectionError(…): Failed to establish a new connection\nERROR: No matching distribution"
    assert environment.reason(said) == ": no package registry can be reached from here"
    assert environment.reason("OSError: [Errno 28] No space left on device") == ": no space is left on the disk"
    assert environment.reason("fine\nERROR: something else\n") == ": ERROR: something else"


def test_every_queue_has_its_workers_and_the_scheduler_its_mark(tmp_path):
    assert programs.QUEUES == queue.QUEUES
    assert schedule.SCHEDULER == queue.SCHEDULER
    settings = Settings.from_env(
        {
            "SENDOFF_VAR": str(tmp_path / "with space %and"),
            "SENDOFF_LOCAL": "1",
            "DATABASE_URL": "postgresql://x/y",
            "REDIS_URL": "redis://x",
            "DEMO": "1",
            "CATCHALL_PORT": "2525",
        }
    )
    wanted = [*programs.extras(settings), *programs.work(settings), programs.web(settings)]
    assert all(programs.present(program) for program in wanted)
    text = programs.configuration(settings, tmp_path, wanted)
    assert "with space %%and" in text
    assert "numprocs=2" in text
    assert "[program:recipients]" in text


def test_ci_runs_make_test():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert "make test" in script.read_text()
