"""Settings from the environment, read once and frozen. What is missing or wrong is named in one line, and nothing starts."""

# ruff: noqa: RUF009 - _setting() makes dataclass fields

import os
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

LANGUAGES = ("en", "nb", "sv", "nl")
REMEMBERED = "local.env"  # what one-machine mode chose (addresses, ports), so that commands by hand find it


class SettingsError(Exception):
    """The settings cannot be used; the message names all of what is missing or wrong, in one line."""


class _WrongError(ValueError):
    """One value is wrong; the message completes "NAME must be …"."""


def _text(value: str) -> str:
    if any(ord(sign) < 32 for sign in value):
        raise _WrongError("one line of text")
    return value


def _switch(value: str) -> bool:
    known = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    if value.lower() not in known:
        raise _WrongError("0 or 1")
    return known[value.lower()]


def _number(low: int, high: int) -> Callable[[str], int]:
    def parse(value: str) -> int:
        if not (value.isascii() and value.isdigit() and low <= int(value) <= high):
            raise _WrongError(f"a whole number from {low} to {high}")
        return int(value)

    return parse


def _one_of(*known: str) -> Callable[[str], str]:
    def parse(value: str) -> str:
        found = next((word for word in known if word.lower() == value.lower()), None)
        if found is None:
            raise _WrongError("one of " + ", ".join(known))
        return found

    return parse


def _folder(value: str) -> Path:
    return Path(value).expanduser().resolve()


def _words(value: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in value.split(",") if word.strip())


def _database(value: str) -> str:
    scheme, mark, rest = value.partition("://")
    if scheme in {"postgresql", "postgres"}:
        scheme = "postgresql+psycopg"
    if scheme != "postgresql+psycopg" or not mark or not rest:
        raise _WrongError("a PostgreSQL address such as postgresql://user@host/name")
    return f"{scheme}://{rest}"


def _redis(value: str) -> str:
    if not value.startswith(("redis://", "rediss://", "unix://")):
        raise _WrongError("a Redis address such as redis://host:6379/0 or unix:///path/redis.sock")
    return value


def _secret(value: str) -> str:
    if len(value) < 32:
        raise _WrongError("at least 32 characters (make one with: openssl rand -hex 32)")
    return value


def _public_url(value: str) -> str:
    parts = urlsplit(value)
    if (
        parts.scheme not in {"http", "https"}
        or not parts.netloc
        or parts.query
        or parts.fragment
        or parts.path not in {"", "/"}
    ):
        raise _WrongError("an address such as https://sendoff.example, without a path")
    return value.rstrip("/")


def _address(value: str) -> str:
    if value.count("@") != 1 or any(sign in value for sign in "\r\n \t<>,"):
        raise _WrongError("one e-mail address such as sendoff@example.org")
    return value


def _optional_address(value: str) -> str:
    return _address(value) if value else ""


def _timezone(value: str) -> str:
    try:
        return ZoneInfo(value).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise _WrongError("a time zone such as Europe/Oslo or UTC") from None


def _optional_domain(value: str) -> str:
    if value and not re.fullmatch(r"(?:[A-Za-z0-9-]+\.)+[A-Za-z0-9-]+", value):
        raise _WrongError("a domain such as bounces.example.org")
    return value.lower()


def _setting(doc: str, parse: Callable[[str], Any], default: str | None = None, *, needed: bool = False) -> Any:
    """One setting: `default` as it would be written in the environment; None with `needed` must be given."""
    return field(metadata={"doc": doc, "parse": parse, "default": default, "needed": needed})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings. A field's name in capitals is its name in the environment (`sendoff_var` → SENDOFF_VAR)."""

    sendoff_var: Path = _setting(
        "Folder of everything kept on this machine: the embedded servers' data, logs, the journal of what is being sent.",
        _folder,
        "var",
    )
    sendoff_local: bool = _setting(
        "One-machine mode. `make run` sets it: what is not given is then chosen or made by itself.", _switch, "0"
    )
    host: str = _setting("Network address the web server listens on.", _text, "127.0.0.1")
    port: int = _setting("Port the web server listens on; 0 takes a free one.", _number(0, 65535), "8000")
    demo: bool = _setting(
        "Load the demo audience and let demo recipients behave. Only with the built-in relay. `make run` sets it to 1.",
        _switch,
        "0",
    )
    database_url: str = _setting(
        "PostgreSQL 15 to 18, such as postgresql://user:password@host/name. Not given, `make run` starts an embedded one.",
        _database,
        needed=True,
    )
    redis_url: str = _setting(
        "Redis 6.2 or later (or Valkey), such as redis://host:6379/0. Not given, `make run` starts an embedded one.",
        _redis,
        needed=True,
    )
    secret_key: str = _setting(
        "Signs sessions and links in mails; 32 characters or more, the same on every machine, kept secret. "
        "One-machine mode makes one in SENDOFF_VAR/secret_key.",
        _secret,
        needed=True,
    )
    base_url: str = _setting(
        "The address people and recipients reach this installation by; links in mails begin with it. "
        "One-machine mode uses HOST and PORT.",
        _public_url,
        needed=True,
    )
    mail_from: str = _setting(
        "Sender of what Sendoff itself writes (password resets, requests to confirm). One-machine mode uses sendoff@sendoff.example.",
        _address,
        needed=True,
    )
    bounce_domain: str = _setting(
        "Domain that bounces come back to, as bounce+…@ it; empty for the domain of each sender.", _optional_domain, ""
    )
    unsubscribe_mailbox: str = _setting(
        "Address offered for unsubscribing by mail where no mailbox in Settings → Mailboxes has one; a mail to it has `unsubscribe` "
        "and a token as its subject, and somebody must read it. Empty for none.",
        _optional_address,
        "",
    )
    relay_host: str = _setting("SMTP server made the first relay when there is none yet; empty for none.", _text, "")
    relay_port: int = _setting("Its port.", _number(1, 65535), "587")
    relay_tls: str = _setting(
        "Its encryption: `none`, `starttls` or `implicit`.", _one_of("none", "starttls", "implicit"), "starttls"
    )
    relay_username: str = _setting("User name it wants, if any.", _text, "")
    relay_password: str = _setting("Password it wants, if any.", _text, "")
    catchall_port: int = _setting(
        "Port of the built-in catch-all relay on 127.0.0.1; 0 for none. `make run` chooses a free one and keeps it.",
        _number(0, 65535),
        "0",
    )
    timezone: str = _setting(
        "By whose clocks days are counted where it is nobody's own day: those of a warm-up. The same on every machine.",
        _timezone,
        "Europe/Oslo",
    )
    session_hours: int = _setting("Hours without use after which a sign-in ends.", _number(1, 720), "12")
    trusted_hosts: tuple[str, ...] = _setting(
        "Host names that requests may name, separated by commas; empty for the one of BASE_URL (one-machine mode: any).",
        _words,
        "",
    )
    proxy: int = _setting(
        "How many reverse proxies stand before the web server and set X-Forwarded headers.", _number(0, 9), "0"
    )
    log_level: str = _setting(
        "How much is logged: DEBUG, INFO, WARNING or ERROR.", _one_of("DEBUG", "INFO", "WARNING", "ERROR"), "INFO"
    )
    workers_web: int = _setting("Web server processes that `make run` starts.", _number(1, 64), "2")
    workers_send: int = _setting("Sending processes that `make run` starts.", _number(1, 64), "2")
    database_pool: int = _setting("Database connections a process may hold.", _number(2, 200), "10")
    max_upload_mb: int = _setting("Largest file that can be uploaded, in megabytes.", _number(1, 2048), "256")
    max_form_mb: int = _setting("Largest content that can be saved in a form, in megabytes.", _number(1, 64), "2")
    missed_after_minutes: int = _setting(
        "A scheduled delivery whose time was missed by more than this is held and asks.", _number(1, 10080), "60"
    )

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> "Settings":
        """Read and check all settings; SettingsError says in one line all that must be mended."""
        given = {name: value for name, value in (os.environ if environ is None else environ).items() if value.strip()}
        given = {**_remembered(given), **given}
        if given.get("SENDOFF_LOCAL", "0") == "1":
            given = {**_local_defaults(given), **given}
        values, missing, wrong = {}, [], []
        for one in fields(cls):
            name = one.name.upper()
            text = given.get(name, one.metadata["default"])
            if text is None:
                missing.append(name)
                continue
            try:
                values[one.name] = one.metadata["parse"](text.strip())
            except _WrongError as problem:
                wrong.append(f"{name} must be {problem}")
        told = ([f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set"] if missing else []) + wrong
        if told:
            raise SettingsError(f"Sendoff cannot start: {'; '.join(told)}. (docs/operations.md lists all settings.)")
        return cls(**values)

    @property
    def secure_cookies(self) -> bool:
        """Whether people come by https, so that cookies may insist on it."""
        return self.base_url.startswith("https://")

    @property
    def journal(self) -> Path:
        """Where senders keep the journal of what is on the wire."""
        return self.sendoff_var / "journal"

    @property
    def returned(self) -> Path:
        """Where the built-in relay keeps mail to return paths and to its address for unsubscribing (a Maildir)."""
        return self.sendoff_var / "returned"

    @property
    def spool(self) -> Path:
        """Where opens and clicks are kept while neither Redis nor PostgreSQL takes them."""
        return self.sendoff_var / "spool"


_current: list[Settings] = []


def use(settings: Settings) -> None:
    """Make these the settings of this process; the app factory does it."""
    _current[:] = [settings]


def current() -> Settings:
    """Return the settings of this process, for domain files and jobs."""
    if not _current:
        raise RuntimeError("settings.use() was not called.")
    return _current[0]


def documentation() -> str:
    """Every setting as a Markdown table."""
    rows = ["| Setting | Default | What it does |", "| --- | --- | --- |"]
    for one in fields(Settings):
        default = one.metadata["default"]
        shown = "must be set" if one.metadata["needed"] else f"`{default}`" if default else "empty"
        rows.append(f"| `{one.name.upper()}` | {shown} | {one.metadata['doc']} |")
    return "\n".join(rows)


def _remembered(given: Mapping[str, str]) -> dict[str, str]:
    """What one-machine mode chose at its last start, if this is such an installation."""
    try:
        text = (_folder(given.get("SENDOFF_VAR", "var")) / REMEMBERED).read_text()
    except OSError:
        return {}
    pairs = (line.partition("=") for line in text.splitlines())
    return {name: value for name, mark, value in pairs if mark and value}


def _local_defaults(given: Mapping[str, str]) -> dict[str, str]:
    host = given.get("HOST", "127.0.0.1")
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    found = {
        "BASE_URL": f"http://{shown}:{given.get('PORT', '8000')}",
        "MAIL_FROM": "sendoff@sendoff.example",
    }
    if "SECRET_KEY" not in given:
        found["SECRET_KEY"] = own_secret(_folder(given.get("SENDOFF_VAR", "var")))
    return found


def own_secret(var: Path) -> str:
    """The secret of a one-machine installation: made once, readable by its owner only."""
    path = var / "secret_key"
    try:
        var.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text().strip()
    except OSError as problem:
        raise SettingsError(f"Sendoff cannot start: {path} cannot be written ({problem.strerror}).") from None
    with os.fdopen(handle, "w") as file:
        secret = secrets.token_hex(32)
        file.write(secret + "\n")
    return secret
