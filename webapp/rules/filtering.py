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
_SHARE = "(hashint8extended(c.id, CAST(:delivery_id AS bigint)) & 9223372036854775807) % 10000"
#: Rules over one contact: an SQL condition over `c` (contact), what `_JOINS` has beside it (or nothing) and `p<n>` (its
#: word of pressure), and what is kept as detail. `<n>` is the number of the rule. No value of a user's is ever part of
#: it: those are bound.
_OF_ONE: dict[str, tuple[str, str]] = {
    Cause.ADDRESS_MISSING: ("c.email IS NULL OR btrim(c.email) = ''", ""),
    Cause.ADDRESS_INVALID: ("c.email_norm IS NULL OR c.invalid_reason IS NOT NULL", "c.invalid_reason"),
    Cause.SUPPRESSED: ("s.email_norm IS NOT NULL OR d.email_norm IS NOT NULL", "coalesce(s.cause, d.cause)"),
    Cause.NOT_SUBSCRIBED: ("w.subscribed IS NOT TRUE", ""),
    Cause.NO_CONSENT: ("coalesce(k.given, CAST(:consent_<n> AS text) = 'withdrawn') IS FALSE", ""),
    Cause.QUARANTINED: ("q.until > CAST(:at AS timestamptz)", "to_char(q.until AT TIME ZONE 'UTC', 'YYYY-MM-DD')"),
    Cause.EXCLUDED_DOMAINS: (
        "split_part(c.email_norm, '@', 2) = ANY(CAST(:domains_<n> AS text[]))",
        "split_part(c.email_norm, '@', 2)",
    ),
    Cause.EXCLUDED_ADDRESSES: ("c.email_norm = ANY(CAST(:addresses_<n> AS text[]))", ""),
    Cause.CONTROL_GROUP: (
        _SHARE + " < CAST(CAST(:percent_<n> AS numeric) * 100 AS bigint)",
        "",
    ),
    Cause.PRESSURE: ("(p<n>.bits >> CAST(c.id & 63 AS int)) & 1 = 1", ""),
}
#: What stands beside a contact: the suppression of its address and of its domain, its subscription to the topic, its
#: consent, and the quarantine of its address.
_JOINS: dict[str, str] = {
    Cause.SUPPRESSED: """LEFT JOIN suppression s ON s.email_norm = c.email_norm
        LEFT JOIN suppression d ON d.email_norm = '@' || split_part(c.email_norm, '@', 2)""",
    Cause.NOT_SUBSCRIBED: "LEFT JOIN subscription w ON w.topic_id = :topic_id AND w.contact_id = c.id",
    Cause.NO_CONSENT: "LEFT JOIN consent k ON k.topic_id = :topic_id AND k.contact_id = c.id",
    Cause.QUARANTINED: "LEFT JOIN quarantine q ON q.email_norm = c.email_norm",
}
#: Rules over all that the rules before have let through, as tables that the next stage is made of: `<before>` is the
#: stage before it, `<fired>` what says there who is left out already. `place` is the order of lists, then of contacts.
_OF_ALL: dict[str, str] = {
    Cause.DUPLICATE: """
        first_<n> AS (
            SELECT email_norm, min(place) AS place FROM <before>
            WHERE <fired> IS NULL AND email_norm IS NOT NULL GROUP BY email_norm HAVING count(*) > 1
        ),
        <stage> AS (
            SELECT b.*, coalesce(b.<fired>, CASE WHEN f.place < b.place THEN <n> END, b.<run>) AS fired_<run>,
                f.place & <mask> AS first_<n>
            FROM <before> b LEFT JOIN first_<n> f ON f.email_norm = b.email_norm AND b.<fired> IS NULL
        )
    """,
    Cause.MAXIMUM: """
        left_<n> AS MATERIALIZED (SELECT count(*) AS number FROM <before> WHERE <fired> IS NULL),
        end_<n> AS MATERIALIZED (
            SELECT place FROM <before>
            WHERE <fired> IS NULL AND (SELECT number FROM left_<n>) > CAST(:number_<n> AS bigint)
            ORDER BY place OFFSET CAST(:number_<n> AS bigint) LIMIT 1
        ),
        <stage> AS (
            SELECT b.*, coalesce(b.<fired>, CASE WHEN b.place >= (SELECT place FROM end_<n>) THEN <n> END, b.<run>)
                AS fired_<run>
            FROM <before> b
        )
    """,
}
_PLACE_BITS = 48  # of a place, the number of the contact; what stands above is the position of the list


def applied(typology: models.Typology) -> list[Rule]:
    """Return the rules about recipients of a typology that are on, in order, each with a cause of its own."""
    found = (rule for rule in typology.rules if not KINDS[rule.kind].checks)
    return [as_applied(rule) for rule in found if rule.active or KINDS[rule.kind].always]


def as_applied(rule: models.Rule) -> Rule:
    """Return a rule as it is applied."""
    cause = rule.kind if KINDS[rule.kind].built_in else f"{rule.kind}-{rule.id}"
    return Rule(cause, rule.kind, rule.name, rule.level, dict(rule.params))


def judged(rules: Sequence[Rule], *, target: str) -> tuple[str, dict[str, Any]]:
    """Return a query that judges every contact of `target` (contact_id, position), and its parameters.

    The caller adds `topic_id`, `delivery_id` and `at` (when the delivery goes out) to them. Rows: contact_id, position,
    cause (NULL: to be delivered), detail, email (the address that was judged, as it is written). Of contacts with the same address the first by order of lists, then by number,
    stays; the others name it as detail.
    """
    runs: list[list[int]] = [[]]  # the rules over one contact, parted by the rules over all
    over_all = []
    for number, rule in enumerate(rules):
        if rule.kind in _OF_ALL:
            over_all.append(number)
            runs.append([])
        else:
            runs[-1].append(number)
    tables = [f"stage_0 AS ({_checked(rules, runs, target=target)})"]
    tables += [_over_all(rules[number].kind, number, run=run) for run, number in enumerate(over_all, start=1)]
    fired = f"fired_run_{len(over_all)}" if over_all else "run_0"
    causes = " ".join(f"WHEN {number} THEN '{rule.cause}'" for number, rule in enumerate(rules))
    details = " ".join(f"WHEN {number} THEN {found}" for number, found in _details(rules))
    cause = f"CASE {fired} {causes} END" if causes else "CAST(NULL AS text)"
    detail = f"CASE {fired} {details} END" if details else "CAST(NULL AS text)"
    columns = f"contact_id, position, {cause} AS cause, {detail} AS detail, coalesce(written, email_norm) AS email"
    return f"WITH {', '.join(tables)} SELECT {columns} FROM stage_{len(over_all)}", _params(rules)


def _checked(rules: Sequence[Rule], runs: Sequence[Sequence[int]], *, target: str) -> str:
    """Every contact with the first rule that fires of each run, and what each rule could tell as detail."""
    columns = []
    for run, numbers in enumerate(runs):
        cases = " ".join(f"WHEN {_of_one(rules[number].kind, number)} THEN {number}" for number in numbers)
        columns.append(f"CASE {cases} END AS run_{run}" if cases else f"CAST(NULL AS int) AS run_{run}")
    for number, rule in enumerate(rules):
        if rule.kind in _OF_ONE and (detail := _OF_ONE[rule.kind][1]):
            columns.append(f"CASE WHEN {_of_one(rule.kind, number)} THEN {detail} END AS detail_{number}")
    kinds = {rule.kind for rule in rules}
    joined = [join for kind, join in _JOINS.items() if kind in kinds]
    joined += [
        # Grouped, so that the planner knows that a word stands there once.
        f"LEFT JOIN (SELECT word, max(bits) AS bits FROM unnest(CAST(:words_{number} AS bigint[]),"
        f" CAST(:bits_{number} AS bigint[])) AS p (word, bits) GROUP BY word) AS p{number} ON p{number}.word = c.id >> 6"
        for number, rule in enumerate(rules)
        if rule.kind == Cause.PRESSURE
    ]
    place = f"(CAST(t.position AS bigint) << {_PLACE_BITS}) + t.contact_id AS place"
    # Most addresses are written as they are compared: those cost no room in the tables of the stages.
    addresses = ["c.email_norm", "nullif(btrim(c.email), c.email_norm) AS written"]
    return f"""
        SELECT {", ".join(["t.contact_id", "t.position", place, *addresses, *columns])}
        FROM {target} t JOIN contact c ON c.id = t.contact_id {" ".join(joined)}
    """


def _of_one(kind: str, number: int) -> str:
    return _OF_ONE[kind][0].replace("<n>", str(number))


def _over_all(kind: str, number: int, *, run: int) -> str:
    found = {
        "<n>": str(number),
        "<stage>": f"stage_{run}",
        "<before>": f"stage_{run - 1}",
        "<fired>": f"fired_run_{run - 1}" if run > 1 else "run_0",
        "<run>": f"run_{run}",
        "<mask>": str((1 << _PLACE_BITS) - 1),
    }
    table = _OF_ALL[kind]
    for word, meant in found.items():
        table = table.replace(word, meant)
    return table


def _details(rules: Sequence[Rule]) -> list[tuple[int, str]]:
    found = []
    for number, rule in enumerate(rules):
        if rule.kind in _OF_ONE and _OF_ONE[rule.kind][1]:
            found.append((number, f"detail_{number}"))
        elif rule.kind == Cause.DUPLICATE:
            found.append((number, f"CAST(first_{number} AS text)"))
    return found


def _params(rules: Sequence[Rule]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for number, rule in enumerate(rules):
        if rule.kind == Cause.PRESSURE:
            found |= {f"words_{number}": list(rule.pressed.words), f"bits_{number}": list(rule.pressed.bits)}
        else:
            found |= {f"{name}_{number}": rule.params[name] for name in KINDS[rule.kind].fields}
    return found
