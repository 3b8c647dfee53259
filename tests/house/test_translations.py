"""Every message of the interface is translated, whole and with the same placeholders."""

import re
import tomllib
from functools import lru_cache
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.pofile import read_po

ROOT = Path(__file__).resolve().parents[2]
LANGUAGES = ("nb", "sv", "nl")
KEYWORDS = DEFAULT_KEYWORDS | {"_l": None, "lazy_gettext": None, "Counted": (1, 2)}
PLACEHOLDER = re.compile(r"%\((\w+)\)[sd]|%%")


@lru_cache
def extracted() -> dict[str | tuple[str, ...], str]:
    """All messages of the code and the templates, with the place of the first."""
    mappings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["babel"]["mappings"]
    method_map = [(one["pattern"], one["method"]) for one in mappings]
    found: dict[str | tuple[str, ...], str] = {}
    for folder in ("webapp", "jobs", "templates"):
        rules = [
            (pattern.removeprefix(f"{folder}/"), method) for pattern, method in method_map if pattern.startswith(folder)
        ]
        options = {pattern: {"silent": "false"} for pattern, method in rules if method == "jinja2"}
        for name, line, message, _, _ in extract_from_dir(ROOT / folder, rules, options, keywords=KEYWORDS):
            found.setdefault(message if isinstance(message, str) else tuple(message), f"{folder}/{name}:{line}")
    return found


@lru_cache
def catalog(language: str) -> Catalog:
    path = ROOT / "webapp" / "translations" / language / "LC_MESSAGES" / "messages.po"
    with path.open("rb") as file:
        return read_po(file, locale=language)


def strings(message: Message) -> tuple[str, ...]:
    return (message.string,) if isinstance(message.string, str) else tuple(message.string or ())


def placeholders(text: str) -> set[str]:
    return {match.group(0) for match in PLACEHOLDER.finditer(text)}


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_message_is_left_untranslated(language):
    found = catalog(language)
    missing = []
    for message, place in extracted().items():
        known = found.get(message if isinstance(message, str) else message[0])
        if known is None or known.fuzzy or not all(strings(known)):
            missing.append(f"{place}: {message!r}")
    assert missing == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_translation_has_the_placeholders_of_its_message(language):
    wrong = []
    for message in catalog(language):
        if not message.id:
            continue
        ids = (message.id,) if isinstance(message.id, str) else message.id
        wanted = placeholders(ids[-1])
        # A singular form may leave the number out: "One message".
        for number, text in enumerate(strings(message)):
            given = placeholders(text)
            singular = len(ids) > 1 and number == 0
            if not (given <= wanted if singular else given == wanted):
                wrong.append(f"{ids[0]!r} -> {text!r}")
    assert wrong == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_translation_is_kept_that_nothing_uses(language):
    used = {message if isinstance(message, str) else message[0] for message in extracted()}
    kept = [message.id if isinstance(message.id, str) else message.id[0] for message in catalog(language) if message.id]
    assert [one for one in kept if one not in used] == []
