"""The rules as one statement over the whole target: set-wise, each contact with the first cause that fires."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from webapp.rules import models
from webapp.rules.causes import Cause
from webapp.rules.kinds import KINDS


@dataclass(frozen=True)
class Pressed:
    """A set of contacts as bits: contact `word * 64 + n` is in it if bit n of its word is set."""

    words: Sequence[int] = ()
    bits: Sequence[int] = ()


@dataclass(frozen=True)
class Rule:
    """A rule as it is applied. `cause` is unique in its typology; `pressed` are those a pressure rule leaves out."""

    cause: str
    kind: str
    name: str = ""
    level: str = "info"
    params: Mapping[str, Any] = field(default_factory=dict)
    pressed: Pressed = Pressed()


#: A number from 0 to 9999 that follows from delivery and contact alone.
_SHARE = "CAST(CAST('x' || left(md5(CAST(:delivery_id AS text) || ':' || CAST(c.id AS text)), 8) AS bit(32)) AS bigint) % 10000"
#: Rules over one contact: an SQL condition over `c` (contact), `s` (suppression of its address, or nothing), `w` (its
#: subscription to the topic, or nothing) and `p<n>` (its word of pressure), and what is kept as detail. `<n>` is the
#: number of the rule. No value of a user's is ever part of it: those are bound.
_OF_ONE: dict[str, tuple[str, str]] = {
    Cause.ADDRESS_MISSING: ("c.email IS NULL OR btrim(c.email) = ''", ""),
    Cause.ADDRESS_INVALID: ("c.email_norm IS NULL OR c.invalid_reason IS NOT NULL", "c.invalid_reason"),
    Cause.SUPPRESSED: ("s.email_norm IS NOT NULL", "s.cause"),
    Cause.NOT_SUBSCRIBED: ("w.subscribed IS NOT TRUE", ""),
    Cause.EXCLUDED_DOMAINS: (
        "split_part(c.email_norm, '@', 2) = ANY(CAST(:domains_<n> AS text[]))",
        "split_part(c.email_norm, '@', 2)",
    ),
    Cause.EXCLUDED_ADDRESSES: ("c.email_norm = ANY(CAST(:addresses_<n> AS text[]))", ""),
    Cause.CONTROL_GROUP: (
        _SHARE + " < CAST(:percent_<n> AS numeric) * 100",
        "",
    ),
    Cause.PRESSURE: ("(p<n>.bits >> CAST(c.id & 63 AS int)) & 1 = 1", ""),
}
#: Rules over all that the rules before have let through: what they are parted by, when one fires, and the detail.
_OF_ALL: dict[str, tuple[str, str, str]] = {
    Cause.DUPLICATE: ("email_norm, ", "rank_<n> > 1 AND email_norm IS NOT NULL", "CAST(first_<n> AS text)"),
    Cause.MAXIMUM: ("", "rank_<n> > CAST(:number_<n> AS bigint)", ""),
}


def applied(typology: models.Typology) -> list[Rule]:
    """Return the rules of a typology that are on, in order, each with a cause of its own."""
    return [as_applied(rule) for rule in typology.rules if rule.active or KINDS[rule.kind].always]


def as_applied(rule: models.Rule) -> Rule:
    """Return a rule as it is applied."""
    cause = rule.kind if KINDS[rule.kind].built_in else f"{rule.kind}-{rule.id}"
    return Rule(cause, rule.kind, rule.name, rule.level, dict(rule.params))


def judged(rules: Sequence[Rule], *, target: str, values: str) -> tuple[str, dict[str, Any]]:
    """Return a query that judges every contact of `target` (contact_id, position), and its parameters.

    The caller adds `topic_id` and `delivery_id` to them. Rows: contact_id, position, email, `values` (an SQL expression
    over `c`), cause (NULL: to be delivered), detail. Of contacts with the same address the first by order of lists, then
    by number, stays; the others name it as detail.
    """
    runs: list[list[int]] = [[]]  # the rules over one contact, parted by the rules over all
    for number, rule in enumerate(rules):
        if rule.kind in _OF_ALL:
            runs.append([])
        else:
            runs[-1].append(number)
    query = _checked(rules, runs, target=target, values=values)
    query = f"SELECT *, run_0 AS fired_0 FROM ({query}) AS checked"
    over_all = [number for number, rule in enumerate(rules) if rule.kind in _OF_ALL]
    for run, number in enumerate(over_all, start=1):
        query = _ranked(rules[number].kind, number, run=run, query=query)
    fired = f"fired_{len(over_all)}"
    causes = " ".join(f"WHEN {number} THEN '{rule.cause}'" for number, rule in enumerate(rules))
    details = " ".join(f"WHEN {number} THEN {found}" for number, found in _details(rules))
    cause = f"CASE {fired} {causes} END" if causes else "CAST(NULL AS text)"
    detail = f"CASE {fired} {details} END" if details else "CAST(NULL AS text)"
    query = (
        f'SELECT contact_id, position, email, "values", {cause} AS cause, {detail} AS detail FROM ({query}) AS ranked'
    )
    return query, _params(rules)


def _checked(rules: Sequence[Rule], runs: Sequence[Sequence[int]], *, target: str, values: str) -> str:
    """Every contact with the first rule that fires of each run, and what each rule could tell as detail."""
    columns = []
    for run, numbers in enumerate(runs):
        cases = " ".join(f"WHEN {_of_one(rules[number].kind, number)} THEN {number}" for number in numbers)
        columns.append(f"CASE {cases} END AS run_{run}" if cases else f"CAST(NULL AS int) AS run_{run}")
    for number, rule in enumerate(rules):
        if rule.kind in _OF_ONE and (detail := _OF_ONE[rule.kind][1]):
            columns.append(f"{detail} AS detail_{number}")
    joins = {
        Cause.SUPPRESSED: "LEFT JOIN suppression s ON s.email_norm = c.email_norm",
        Cause.NOT_SUBSCRIBED: "LEFT JOIN subscription w ON w.topic_id = :topic_id AND w.contact_id = c.id",
    }
    kinds = {rule.kind for rule in rules}
    joined = [join for kind, join in joins.items() if kind in kinds]
    joined += [
        f"LEFT JOIN unnest(CAST(:words_{number} AS bigint[]), CAST(:bits_{number} AS bigint[])) AS p{number} (word, bits)"
        f" ON p{number}.word = c.id >> 6"
        for number, rule in enumerate(rules)
        if rule.kind == Cause.PRESSURE
    ]
    return f"""
        SELECT t.contact_id, t.position, btrim(c.email) AS email, c.email_norm, {values} AS "values", {", ".join(columns)}
        FROM {target} t JOIN contact c ON c.id = t.contact_id {" ".join(joined)}
    """


def _of_one(kind: str, number: int) -> str:
    return _OF_ONE[kind][0].replace("<n>", str(number))


def _ranked(kind: str, number: int, *, run: int, query: str) -> str:
    parted, condition, _detail = _OF_ALL[kind]
    return f"""
        SELECT *, coalesce(fired_{run - 1}, CASE WHEN {condition.replace("<n>", str(number))} THEN {number} END, run_{run})
            AS fired_{run}
        FROM (
            SELECT *, row_number() OVER same_{number} AS rank_{number},
                first_value(contact_id) OVER same_{number} AS first_{number}
            FROM ({query}) AS before_{number}
            WINDOW same_{number} AS (PARTITION BY {parted}fired_{run - 1} IS NULL ORDER BY position, contact_id)
        ) AS ranked_{number}
    """


def _details(rules: Sequence[Rule]) -> list[tuple[int, str]]:
    found = []
    for number, rule in enumerate(rules):
        if rule.kind in _OF_ONE and _OF_ONE[rule.kind][1]:
            found.append((number, f"detail_{number}"))
        elif rule.kind in _OF_ALL and _OF_ALL[rule.kind][2]:
            found.append((number, _OF_ALL[rule.kind][2].replace("<n>", str(number))))
    return found


def _params(rules: Sequence[Rule]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for number, rule in enumerate(rules):
        if rule.kind == Cause.PRESSURE:
            found |= {f"words_{number}": list(rule.pressed.words), f"bits_{number}": list(rule.pressed.bits)}
        else:
            found |= {f"{name}_{number}": rule.params[name] for name in KINDS[rule.kind].fields}
    return found
