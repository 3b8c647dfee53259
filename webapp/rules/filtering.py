"""Filtering rules as one statement over the whole target: set-wise, each contact with the first cause that fires."""

from dataclasses import dataclass

from webapp.rules.causes import Cause


@dataclass(frozen=True)
class Rule:
    """A rule over one contact: an SQL condition over `c` (contact), `s` (suppression of its address, or nothing) and
    `w` (its subscription to the topic, or nothing), and what is kept as detail. No value of a user's is ever part of it.
    """  # noqa: D205

    cause: Cause
    condition: str
    detail: str = "NULL"


#: In the order they are applied; `DUPLICATE` looks only at those that all of these have let through.
TYPOLOGY: tuple[Rule, ...] = (
    Rule(Cause.ADDRESS_MISSING, "c.email IS NULL OR btrim(c.email) = ''"),
    Rule(Cause.ADDRESS_INVALID, "c.email_norm IS NULL OR c.invalid_reason IS NOT NULL", "c.invalid_reason"),
    Rule(Cause.SUPPRESSED, "s.email_norm IS NOT NULL", "s.cause"),
    Rule(Cause.NOT_SUBSCRIBED, "w.subscribed IS NOT TRUE"),
)


def judged(*, target: str, values: str) -> str:
    """Return a query that judges every contact of the table `target` (contact_id, position); it binds `:topic_id`.

    Rows: contact_id, position, email, `values` (an SQL expression over `c`), cause (NULL: to be delivered), detail.
    Of contacts with the same address the first by order of lists, then by number, stays; the others name it as detail.
    """
    causes = " ".join(f"WHEN {rule.condition} THEN '{rule.cause}'" for rule in TYPOLOGY)
    details = " ".join(f"WHEN {rule.condition} THEN {rule.detail}" for rule in TYPOLOGY)
    return f"""
        SELECT contact_id, position, email, "values",
            CASE WHEN cause IS NULL AND twin > 1 THEN '{Cause.DUPLICATE}' ELSE cause END AS cause,
            CASE WHEN cause IS NULL AND twin > 1 THEN first_of_them::text ELSE detail END AS detail
        FROM (
            SELECT *, row_number() OVER same AS twin, first_value(contact_id) OVER same AS first_of_them
            FROM (
                SELECT t.contact_id, t.position, btrim(c.email) AS email, c.email_norm, {values} AS "values",
                    CASE {causes} END AS cause, CASE {details} END AS detail
                FROM {target} t
                JOIN contact c ON c.id = t.contact_id
                LEFT JOIN suppression s ON s.email_norm = c.email_norm
                LEFT JOIN subscription w ON w.topic_id = :topic_id AND w.contact_id = c.id
            ) AS checked
            WINDOW same AS (PARTITION BY email_norm, cause IS NULL ORDER BY position, contact_id)
        ) AS numbered
    """
