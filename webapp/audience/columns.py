"""What the columns of other tools' files mean, guessed from their names in many languages."""

import json
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence

from babel import Locale

from webapp.audience import answers, dates
from webapp.audience.column_names import DOUBTFUL, FIELD_OF, MANY
from webapp.audience.folding import fold

DEFINED = "attribute:"  # before the name of an attribute that is defined here

_ADDRESS = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")


def guess(
    names: Sequence[str], samples: Sequence[Sequence[str]] = (), attributes: Mapping[str, str] | None = None
) -> list[str]:
    """Return the field of each column, "attribute" where the name says nothing, "ignore" for a column that is empty.

    `attributes` are those that are defined here, name by folded name or label: their columns go to "attribute:name".
    A name that may mean several things is believed only if the cells agree with it. Without a name that is known, the
    first column that holds addresses is the address.
    """
    cells = [[cell for row in samples if (cell := _cell(row, at))] for at in range(len(names))]
    found = [
        _meaning(fold(name), filled, attributes=attributes or {}) for name, filled in zip(names, cells, strict=True)
    ]
    if "email" not in found:
        column = next((at for at, filled in enumerate(cells) if _mostly(filled, _is_address)), None)
        if column is not None:
            found[column] = "email"
    _settle_names(found)
    for field in set(found) - MANY:
        _keep_one(found, field, cells)
    return [
        "ignore" if not (name.strip() or filled) and samples else field
        for name, filled, field in zip(names, cells, found, strict=True)
    ]


def _meaning(folded: str, filled: Sequence[str], *, attributes: Mapping[str, str]) -> str:
    """Return the field that a column's name and its cells speak for; without cells, its name alone."""
    field = FIELD_OF.get(folded, "attribute")
    if field != "email" and folded in attributes:
        return f"{DEFINED}{attributes[folded]}"
    if field not in _FITS or (not filled and folded not in DOUBTFUL) or (field == "email" and folded not in DOUBTFUL):
        return field
    if field == "opt_out" and filled and answers.is_certain(folded):
        return field
    fits = _says_by_words if field == "opt_out" and answers.tells_by_words(folded) else _FITS[field]
    if _mostly(filled, fits):
        return field
    return "opt_in" if field == "consent_at" and _mostly(filled, _says) else "attribute"


def _is_address(cell: str) -> bool:
    return _ADDRESS.fullmatch(cell) is not None


def _settle_names(found: list[str]) -> None:
    """A whole name beside a last name is a first name, and beside both it is one of its own."""
    if "full_name" in found and "last_name" in found:
        at = found.index("full_name")
        found[at] = "attribute" if "first_name" in found else "first_name"


def _keep_one(found: list[str], field: str, cells: Sequence[Sequence[str]]) -> None:
    """Of several columns for one field keep the first that holds anything; of dates, the one that holds most."""
    places = [at for at, one in enumerate(found) if one == field]
    sizes = [len(cells[at]) if field in {"consent_at", "created_at"} else bool(cells[at]) for at in places]
    kept = places[sizes.index(max(sizes))]
    for at in places:
        if at != kept:
            found[at] = "attribute"


def _says(cell: str) -> bool:
    return answers.is_told(cell)


def _says_by_words(cell: str) -> bool:
    return answers.is_told(cell, words_only=True)


def _is_json(cell: str) -> bool:
    """Say whether a cell holds an object in JSON; one that is cut short is none."""
    try:
        return cell.startswith("{") and isinstance(json.loads(cell), dict)
    except (ValueError, RecursionError):
        return False


def _mostly(cells: Sequence[str], fits: Callable[[str], bool]) -> bool:
    return sum(1 for cell in cells if fits(cell)) * 2 > len(cells)


#: What the cells of a column must be for its name to be believed.
_FITS: dict[str, Callable[[str], bool]] = {
    "email": _is_address,
    "consent_at": dates.is_one,
    "created_at": dates.is_one,
    "opt_out": _says,
    "opt_in": _says,
    "json": _is_json,
}


def _cell(row: Sequence[str], at: int) -> str:
    return row[at].strip() if at < len(row) else ""


def is_attribute(field: str) -> bool:
    """Say whether a column goes to an attribute: one of its own name, or one that is defined here."""
    return field == "attribute" or field.startswith(DEFINED)


def key_of(name: str, at: int) -> str:
    """Return the name a column's attribute has in merge fields: a word of small letters, digits and underscores."""
    word = re.sub(r"\W+", "_", unicodedata.normalize("NFC", name.strip()).lower()).strip("_")[:60]
    if not word:
        return f"column_{at + 1}"
    return word if not word[0].isdigit() else f"_{word}"


def keys_of(names: Sequence[str], fields: Sequence[str] = ()) -> list[str]:
    """Return the attribute name of each column: that of the attribute it goes to, else one from its own name, of which no two are the same."""
    chosen = [field.removeprefix(DEFINED) if field.startswith(DEFINED) else "" for field in fields] or [""] * len(names)
    keys: list[str] = []
    for at, (name, defined) in enumerate(zip(names, chosen, strict=True)):
        key = key_of(name, at)
        keys.append(defined or (key if key not in keys and key not in chosen else f"{key}_{at + 1}"))
    return keys


def _names(kind: str) -> Mapping[str, str]:
    """Return codes by folded name, as people write them in the languages of most files."""
    codes: dict[str, str] = {}
    for tongue in ("de", "fr", "da", "fi", "nl", "sv", "nb", "en"):
        table = Locale.parse(tongue).languages if kind == "language" else Locale.parse(tongue).territories
        for code, name in table.items():
            if len(code) == 2 and code.isalpha():
                codes[fold(name)] = code
    return codes


_LANGUAGES = {**_names("language"), "norwegian": "nb", "norsk": "nb", "norska": "nb", "noors": "nb"}
_COUNTRIES = {**_names("country"), "usa": "US", "uk": "GB", "holland": "NL", "greatbritain": "GB"}
_CODES = {"no": "nb", "se": "sv", "dk": "da", "gb": "en", "uk": "en", "us": "en"}  # countries where languages are meant


def language(text: str) -> str:
    """Return the code of a language: nb for "nb-NO", "Norsk" and "no"; what is not known stays as it is."""
    folded = fold(re.split(r"[-_]", text, maxsplit=1)[0]) if re.fullmatch(r"[A-Za-z]{2,3}[-_]\w+", text) else fold(text)
    if len(folded) == 2:
        return _CODES.get(folded, folded)
    return _LANGUAGES.get(folded, text)


def country(text: str) -> str:
    """Return the code of a country (ISO 3166): NO for "Norge" and "no"; what is not known stays as it is."""
    folded = fold(text)
    return folded.upper() if len(folded) == 2 else _COUNTRIES.get(folded, text)
