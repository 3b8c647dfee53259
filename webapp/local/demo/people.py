# ruff: noqa: RUF001 - letters of many languages
"""Some 5,000 invented contacts, the same ones each time, with the flaws that a real audience has."""

import random
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field

from webapp.local.demo.names import COMPANIES, COUNTRIES, Country

SIZE = 5000
SEED = 20261
ACTIVITIES = ("skiing", "skating", "hiking", "climbing")
LEVELS = ("gold", "silver")
THROW_AWAY = "throwaway.example"  # the domain that some have given an address of
LATIN = str.maketrans(
    {"ø": "o", "æ": "ae", "å": "a", "ł": "l", "ß": "ss", "ı": "i", "đ": "d", "’": "", "'": "", " ": "."}
)


@dataclass(slots=True)
class Person:
    """A contact to be, and what is odd about it."""

    number: int
    email: str | None
    first_name: str
    last_name: str
    language: str
    country: str
    company: str
    attributes: dict[str, str | int] = field(default_factory=dict)
    oddity: str = ""  # missing, invalid, duplicate, suppressed, unsubscribed, never_asked, or none


def everybody(size: int = SIZE) -> list[Person]:
    """The whole audience."""
    dice = random.Random(SEED)  # noqa: S311 - invented people, the same each time
    taken: dict[str, int] = {}
    people = [_person(number, dice, taken) for number in range(1, size + 1)]
    for person, oddity in zip(dice.sample(people, len(people)), _oddities(size), strict=False):
        _spoil(person, oddity, people, dice)
    return people


def _person(number: int, dice: random.Random, taken: dict[str, int]) -> Person:
    country = dice.choices(COUNTRIES, weights=[one.share for one in COUNTRIES])[0]
    first, first_form = _forms(dice.choice(country.first))
    last, last_form = _forms(dice.choice(country.last))
    local = _local_part(first_form, last_form, dice)
    houses = country.houses if number % 400 else (THROW_AWAY,)
    house = dice.choice(houses)
    address = f"{local}@{house}"
    taken[address] = taken.get(address, 0) + 1
    if taken[address] > 1:
        address = f"{local}{taken[address]}@{house}"
    return Person(
        number=number,
        email=address,
        first_name=first,
        last_name=last,
        language=_language(country, dice),
        country=country.code,
        company=f"{dice.choice(COMPANIES)} AS" if dice.random() < 0.12 else "",
        attributes=_attributes(country, dice),
    )


def _forms(name: str) -> tuple[str, str]:
    """A name as it is written, and as it stands in an address."""
    written, _, form = name.partition("/")
    return written, form or latin(written)


def latin(name: str) -> str:
    """A name in plain letters, as people choose their addresses."""
    parts = unicodedata.normalize("NFKD", name.lower().translate(LATIN))
    plain = "".join(sign for sign in parts.translate(LATIN) if sign.isascii() and (sign.isalnum() or sign in ".-"))
    return plain.strip(".-")


def _local_part(first: str, last: str, dice: random.Random) -> str:
    shape = dice.random()
    if shape < 0.6:
        return f"{first}.{last}"
    if shape < 0.8:
        return f"{first[0]}.{last}"
    return f"{first}{dice.randint(1950, 2005) % 100:02d}" if shape < 0.92 else f"{last}.{first}"


def _language(country: Country, dice: random.Random) -> str:
    return country.language if dice.random() < 0.95 else "en"


def _attributes(country: Country, dice: random.Random) -> dict[str, str | int]:
    found: dict[str, str | int] = {"city": dice.choice(country.towns), "member_since": dice.randint(2009, 2026)}
    level = dice.random()
    if level < 0.35:
        found["level"] = LEVELS[0] if level < 0.07 else LEVELS[1]
    if dice.random() < 0.7:
        found["activity"] = dice.choice(ACTIVITIES)
    return found


def _oddities(size: int) -> Iterator[str]:
    """What is odd, for so many in the audience."""
    shares = {
        "missing": 0.008,
        "invalid": 0.006,
        "duplicate": 0.012,
        "suppressed": 0.009,
        "unsubscribed": 0.03,
        "never_asked": 0.035,
    }
    for oddity, share in shares.items():
        yield from [oddity] * round(size * share)


def _spoil(person: Person, oddity: str, people: list[Person], dice: random.Random) -> None:
    person.oddity = oddity
    address = person.email or ""
    if oddity == "missing":
        person.email = None
    elif oddity == "invalid":
        ways = (
            address.replace("@", ""),
            address.replace("@", "@@"),
            address.split("@")[0] + "@post",
            address.replace(".", ". ", 1),
        )
        person.email = dice.choice((*ways, address.replace(".example", ",example")))
    elif oddity == "duplicate":
        other = people[dice.randrange(len(people))]
        if other is not person and other.email and not other.oddity:
            person.email = other.email.upper() if dice.random() < 0.5 else other.email.title()
