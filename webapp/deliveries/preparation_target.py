"""The first stages of a preparation, set-wise: who is targeted, what the rules say, which values each gets."""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import select, text

from webapp.audience import attribute_names
from webapp.audience.models import Attribute
from webapp.content.fields import CONTACT_NAMES, LINK_NAMES
from webapp.db import db
from webapp.deliveries import target
from webapp.deliveries.models import Delivery
from webapp.deliveries.rulebook import rules_for
from webapp.rules import filtering
from webapp.rules.causes import Cause

#: What the statements of a preparation may use: few run at once, and a million recipients then need no disk for sorting.
_MEMORY = {"work_mem": "128MB", "maintenance_work_mem": "256MB"}


def target_table(preparation_id: int) -> str:
    """Return the name of the temporary table of the target."""
    return f"target_{int(preparation_id)}"


def verdict_table(preparation_id: int) -> str:
    """Return the name of the temporary table of what the rules said."""
    return f"verdict_{int(preparation_id)}"


def resolve_target(delivery_id: int, *, preparation_id: int) -> int:
    """Fill the target: lists and segments less those left out, each contact once, by their order; count it."""
    for setting, size in _MEMORY.items():
        db.session.execute(text(f"SET LOCAL {setting} = '{size}'"))
    table = target_table(preparation_id)
    delivery = db.session.get_one(Delivery, delivery_id)
    db.session.execute(target.TemporaryTable(table, target.members(delivery)))
    db.session.execute(text(f"ANALYZE {table}"))
    return int(db.session.scalar(text(f"SELECT count(*) FROM {table}")) or 0)


def forget(preparation_id: int) -> None:
    """Drop the temporary tables; the end of the transaction would do it, too."""
    db.session.execute(text(f"DROP TABLE IF EXISTS {target_table(preparation_id)}, {verdict_table(preparation_id)}"))


def apply_rules(
    preparation_id: int, *, delivery: Delivery, at: datetime
) -> tuple[Sequence[filtering.Rule], dict[str, int]]:
    """Judge every contact of the target by the rules as they are `at` this moment; return them and the count of each cause."""
    rules = rules_for(delivery, at=at)
    table = verdict_table(preparation_id)
    query, given = filtering.judged(rules, target=target_table(preparation_id))
    about = {"topic_id": delivery.topic_id, "delivery_id": delivery.id, "at": at}
    db.session.execute(text(f"CREATE TEMPORARY TABLE {table} ON COMMIT DROP AS {query}"), {**given, **about})
    db.session.execute(text(f"ANALYZE {table}"))
    return rules, counts(preparation_id)


def counts(preparation_id: int) -> dict[str, int]:
    """Count the contacts of each cause that has any; those to be delivered stand under an empty name."""
    rows = db.session.execute(
        text(f"SELECT cause, count(*) FROM {verdict_table(preparation_id)} GROUP BY cause ORDER BY cause")
    )
    return {"": 0, **{cause or "": count for cause, count in rows}}


def gone(preparation_id: int) -> int:
    """Count the contacts that were judged and are no more."""
    verdict = verdict_table(preparation_id)
    query = f"SELECT count(*) FROM {verdict} v WHERE NOT EXISTS (SELECT FROM contact c WHERE c.id = v.contact_id)"
    return int(db.session.scalar(text(query)) or 0)


def suppressed_by_cause(preparation_id: int) -> dict[str, int]:
    """Count the suppressed contacts by why their address is suppressed."""
    rows = db.session.execute(
        text(
            f"SELECT detail, count(*) FROM {verdict_table(preparation_id)} WHERE cause = :cause GROUP BY 1 ORDER BY 1"
        ),
        {"cause": Cause.SUPPRESSED},
    )
    return {str(detail): int(count) for detail, count in rows}


def values_sql(fields: Collection[str], *, email: str = "btrim(c.email)") -> tuple[str, dict[str, str]]:
    """Return an SQL expression over `c` that makes the merge values of these fields (empty ones left out), and its
    parameters. It gives what `content.fields.contact_values` gives; `email` is where the address stands.
    """  # noqa: D205
    pairs, params = [], {}
    for number, name in enumerate(sorted(set(fields) - set(LINK_NAMES))):
        key = f"field_{number}"
        params[key] = name
        own = f"nullif(nullif(c.attributes -> :{key}, 'null'), '\"\"')"
        pairs.append(f"CAST(:{key} AS text), {_value(name, own, email=email)}")
    if not pairs:
        return "'{}'::jsonb", {}
    objects = (f"jsonb_build_object({', '.join(pairs[at : at + 40])})" for at in range(0, len(pairs), 40))
    return f"jsonb_strip_nulls({' || '.join(objects)})", params


def _value(name: str, own: str, *, email: str) -> str:
    if name == "name":
        parts = (
            f"coalesce(nullif(c.{part}, ''), nullif(c.attributes ->> '{part}', ''))"
            for part in ("first_name", "last_name")
        )
        both = f"concat_ws(' ', {', '.join(parts)})"
        return f"coalesce({own}, to_jsonb(nullif({both}, '')))"
    if name in CONTACT_NAMES:
        column = email if name == "email" else f"c.{name}"
        return f"coalesce(to_jsonb(nullif({column}, '')), {own})"
    return own


def existing_attributes(names: Collection[str]) -> set[str]:
    """Return which of these names are attributes: those that are defined, and those that contacts have."""
    defined = select(Attribute.name).where(Attribute.name.in_(names))
    return attribute_names.known(names) | set(db.session.scalars(defined))


def exclude_failed(preparation_id: int, *, failed: dict[int, str]) -> None:
    """Leave out those whose message could not be made, each with its reason."""
    if failed:
        db.session.execute(
            text(f"""
                UPDATE {verdict_table(preparation_id)} v SET cause = :cause, detail = f.reason
                FROM unnest(CAST(:ids AS bigint[]), CAST(:reasons AS text[])) AS f (contact_id, reason)
                WHERE v.contact_id = f.contact_id
            """),
            {"cause": Cause.PERSONALISATION_FAILED, "ids": list(failed), "reasons": list(failed.values())},
        )
