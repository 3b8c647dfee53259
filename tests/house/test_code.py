"""The house rules of the code, each told by the test's name."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted([*ROOT.glob("webapp/**/*.py"), *ROOT.glob("jobs/*.py"), ROOT / "wsgi.py"])
TESTS = sorted(ROOT.glob("tests/**/*.py"))
TEMPLATES = sorted(ROOT.glob("templates/**/*.html"))
WRITTEN = [path for path in SOURCES if "migrations" not in path.parts]

#: Files that speak HTTP: they, and webapp/web, may import Flask and its family; domain files may not.
HTTP_FILES = {"views.py", "forms.py", "actions.py", "editing.py", "app.py", "cli.py"}
HTTP_FAMILY = {"flask", "flask_login", "wtforms", "flask_wtf", "htmx_flask", "flask_sse", "werkzeug"}
#: A third-party library and the one module it may be imported in.
EDGES = {
    "htmx_flask": {"webapp/web/htmx.py"},
    "flask_sse": {"webapp/web/live.py"},
    "redis": {"webapp/broker.py"},
    "rq": {"webapp/queue.py", "jobs/worker.py", "webapp/web/health.py"},
    "argon2": {"webapp/accounts/passwords.py"},
    "dns": {"webapp/mail/resolver.py"},
}
VAGUE = re.compile(r"(utils?|helpers?|managers?|misc|common|.*_service|services)$")


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), filename=str(path))


def imports_of(path: Path) -> Iterator[str]:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module


def is_http(path: Path) -> bool:
    if path.parts[-2] == "web" or path.name in HTTP_FILES:
        return True
    return path.name.endswith(("_views.py", "_forms.py"))


def functions_of(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def lines_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (function.end_lineno or function.lineno) - function.lineno + 1


def calls(path: Path, attribute: str) -> bool:
    return any(
        isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == attribute
        for node in ast.walk(tree_of(path))
    )


@pytest.mark.parametrize("path", [*WRITTEN, *TESTS], ids=name_of)
def test_no_file_is_longer_than_400_lines(path):
    assert len(path.read_text().splitlines()) <= 400


@pytest.mark.parametrize("path", TEMPLATES, ids=name_of)
def test_no_template_is_longer_than_150_lines(path):
    assert len(path.read_text().splitlines()) <= 150


@pytest.mark.parametrize("path", WRITTEN, ids=name_of)
def test_no_function_is_longer_than_50_lines_and_no_view_than_40(path):
    limit = 40 if is_http(path) else 50
    assert [f"{f.name}: {lines_of(f)}" for f in functions_of(path) if lines_of(f) > limit] == []


@pytest.mark.parametrize("path", [path for path in WRITTEN if not is_http(path)], ids=name_of)
def test_domain_files_do_not_know_http(path):
    if path.name == "worker.py":
        return  # it makes the app for its jobs
    assert [found for found in imports_of(path) if found.split(".")[0] in HTTP_FAMILY] == []
    if name_of(path).startswith("webapp/local/"):
        return
    assert [found for found in imports_of(path) if found.startswith("webapp.web") and not is_live(path)] == []


def is_live(path: Path) -> bool:
    """Fragments for the live stream are registered beside the views they belong to."""
    return path.name in {"live.py", "fragments.py"}


@pytest.mark.parametrize("path", WRITTEN, ids=name_of)
def test_each_third_party_edge_lives_in_its_module(path):
    for found in imports_of(path):
        allowed = EDGES.get(found.split(".")[0])
        assert allowed is None or name_of(path) in allowed, f"{found} belongs to {allowed}"


@pytest.mark.parametrize("path", WRITTEN, ids=name_of)
def test_only_transaction_commits(path):
    assert not calls(path, "commit") or name_of(path) == "webapp/db.py"


@pytest.mark.parametrize("path", WRITTEN, ids=name_of)
def test_only_the_queue_enqueues(path):
    assert not calls(path, "enqueue") or name_of(path) == "webapp/queue.py"


@pytest.mark.parametrize("path", WRITTEN, ids=name_of)
def test_only_the_clock_asks_for_the_time(path):
    source = path.read_text()
    if name_of(path) != "webapp/clock.py":
        assert not re.search(r"datetime\.(now|utcnow|today)\(|date\.today\(", source)


@pytest.mark.parametrize("path", WRITTEN, ids=name_of)
def test_only_a_move_writes_the_state_of_a_delivery(path):
    targets = [
        target
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Assign | ast.AugAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
    ]
    assert not any(isinstance(target, ast.Attribute) and target.attr == "state" for target in targets)


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_no_file_or_folder_has_a_vague_name(path):
    names = [*path.relative_to(ROOT).parts[:-1], path.stem]
    assert [name for name in names if VAGUE.match(name)] == []


@pytest.mark.parametrize("path", TEMPLATES, ids=name_of)
def test_nothing_in_a_template_is_inline(path):
    source = path.read_text()
    assert not re.search(r"\sstyle\s*=|\son[a-z]+\s*=\s*[\"']|<style\b|hx-on|javascript:", source)
    assert not re.search(r"<script(?![^>]*\bsrc=)", source)


def test_each_decision_has_a_number_of_its_own():
    named = {path.name: int(path.name[:4]) for path in (ROOT / "docs/decisions").glob("[0-9]*.md")}
    assert sorted(named.values()) == list(range(1, len(named) + 1))
    for name, number in named.items():
        assert (ROOT / "docs/decisions" / name).read_text().startswith(f"# {number}. "), name


def test_the_project_names_no_registry_and_no_machine():
    words = ["pypi" + ".org", "python" + "hosted", "registry." + "npmjs", "deb." + "debian", "/wor" + "k/"]
    files = [
        path
        for pattern in (
            "**/*.py",
            "**/*.html",
            "docs/**/*.md",
            "*.md",
            "*.txt",
            "*.json",
            "Makefile",
            ".ci/*",
            "*.toml",
            "*.yaml",
        )
        for path in ROOT.glob(pattern)
        if not {".venv", "var", "node_modules", "vendor"} & set(path.parts)
    ]
    assert [f"{name_of(path)}: {word}" for path in files for word in words if word in path.read_text()] == []
