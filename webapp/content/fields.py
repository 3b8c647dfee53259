"""Merge fields: which there are, which a template uses, and what they look like for somebody invented."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from jinja2 import meta

from webapp.content import sandbox
from webapp.words import _l

CONTACT_NAMES = ("first_name", "last_name", "name", "email", "language", "country", "company")
LINK_NAMES = ("unsubscribe_url", "view_url")

_MEANING = {
    "first_name": _l("First name"),
    "last_name": _l("Last name"),
    "name": _l("Full name"),
    "email": _l("E-mail address"),
    "language": _l("Language, as en, nb, sv or nl"),
    "country": _l("Country"),
    "company": _l("Company"),
    "unsubscribe_url": _l("Link to unsubscribe"),
    "view_url": _l("Link to view the message online"),
}
_SAMPLE: dict[str, Any] = {
    "first_name": "Ingrid",
    "last_name": "Solberg",
    "name": "Ingrid Solberg",
    "email": "ingrid@example.com",
    "language": "nb",
    "country": "NO",
    "company": "Fjellheim Outdoor",
}


@dataclass(frozen=True, slots=True)
class Field:
    """A merge field; kind is contact, attribute or link."""

    name: str
    kind: str

    @property
    def meaning(self) -> str:
        """What it stands for, in the language of whoever asks; an attribute has only its name."""
        return str(_MEANING.get(self.name, self.name))

    @property
    def example(self) -> str:
        """How it is written in a template, with a fallback where people leave it empty."""
        if self.name in {"first_name", "name"}:
            return f'{{{{ {self.name} | default("{_l("friend")}") }}}}'
        return f"{{{{ {self.name} }}}}"


def known_fields(attributes: Iterable[str] = ()) -> tuple[Field, ...]:
    """Give every field that may be used; `attributes` are the names of the contacts' own attributes."""
    own = sorted({name for name in attributes if usable(name)} - set(CONTACT_NAMES) - set(LINK_NAMES))
    return (
        *(Field(name, "contact") for name in CONTACT_NAMES),
        *(Field(name, "attribute") for name in own),
        *(Field(name, "link") for name in LINK_NAMES),
    )


def usable(name: str) -> bool:
    """Whether an attribute's name can be written in a template."""
    return name.isidentifier() and not name.startswith("_")


def used_fields(source: str) -> frozenset[str]:
    """Give the names of the fields that a template uses. Raises TemplateProblem."""
    return frozenset(meta.find_undeclared_variables(sandbox.parse(source)))


def sample_values(attributes: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Give values of an invented contact, for a preview before there is a contact to choose."""
    return {**(attributes or {}), **_SAMPLE}


def contact_values(columns: Mapping[str, Any], attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Give a contact's merge values from its columns and its attributes; columns win, empty values are left out."""
    values = {name: value for name, value in attributes.items() if usable(name) and value not in (None, "")}
    values.update({name: columns[name] for name in CONTACT_NAMES if columns.get(name) not in (None, "")})
    if "name" not in values:
        both = " ".join(str(values[part]) for part in ("first_name", "last_name") if part in values)
        values.update({"name": both} if both else {})
    return values
