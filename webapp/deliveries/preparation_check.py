"""The control rules of a preparation: content, sender, links, size (webapp.content.checks), topic and relay."""

from typing import Any

from sqlalchemy import text

from webapp.content.checks import Checked, Draft
from webapp.content.checks import check as check_content
from webapp.content.fields import CONTACT_NAMES, LINK_NAMES
from webapp.content.problems import TemplateProblem
from webapp.content.render import Compiled, content_fields
from webapp.db import db
from webapp.deliveries import sender_domain
from webapp.deliveries.models import Delivery
from webapp.deliveries.preparation_target import existing_attributes
from webapp.deliveries.report import Critical, Report
from webapp.deliveries.rulebook import typology_of
from webapp.rules.control import controlled


def check(delivery: Delivery, *, base_url: str) -> tuple[Checked, int | None]:
    """Run the control rules over what the delivery holds now; also return the relay that would send it, if any."""
    draft = Draft(
        subject=delivery.subject,
        preheader=delivery.preheader,
        html=delivery.html,
        text=delivery.text,
        from_name=delivery.from_name,
        from_address=delivery.from_address,
        reply_to=delivery.reply_to,
        tracking=delivery.tracking,
        base_url=base_url,
        known=known_to(delivery),
    )
    checked, relay_id = check_content(draft), usable_relay(delivery.relay_id)
    checked.findings += sender_domain.findings(draft.from_address, relay_id=relay_id)
    checked.findings = controlled(checked.findings, typology_of(delivery))
    return checked, relay_id


def known_to(content: Delivery | Draft) -> set[str]:
    """Return the merge fields that exist: those of every contact, and those used attributes that some contact has."""
    own = fields_of(content) - set(CONTACT_NAMES) - set(LINK_NAMES)
    return {*CONTACT_NAMES, *LINK_NAMES, *(existing_attributes(own) if own else ())}


def fields_of(delivery: Delivery | Draft) -> set[str]:
    """Return the merge fields that the content uses; none if it cannot be read."""
    try:
        used = content_fields(
            subject=delivery.subject, preheader=delivery.preheader, html=delivery.html, text=delivery.text
        )
    except TemplateProblem:
        return set()
    return set().union(*used.values())


def usable_relay(relay_id: int | None) -> int | None:
    """Return the relay to use: the chosen one if it is active, else none; without a choice the default one."""
    found: int | None = db.session.scalar(
        text("""
            SELECT id FROM relay WHERE active AND (id = :relay_id OR CAST(:relay_id AS bigint) IS NULL)
            ORDER BY is_default DESC, id LIMIT 1
        """),
        {"relay_id": relay_id},
    )
    return found


def tell(checked: Checked, *, report: Report) -> None:
    """Write each finding as a line of the log."""
    for finding in checked.findings:
        report.line(finding.level, f"check.{finding.code}", field=finding.field, **finding.params)


def control(checked: Checked, *, relay_id: int | None, report: Report) -> None:
    """Run the stage Check: tell every finding, and raise Critical if one of them is an error."""
    report.begin("check")
    errors = report.errors
    tell(checked, report=report)
    if relay_id is None:
        report.line("error", "relay_missing")
    found = report.errors - errors
    report.line("info", "checked", errors=found, warnings=len(checked.warnings))
    if found:
        code = "relay_missing" if relay_id is None and found == 1 else "check_failed"
        raise Critical(code, count=found)
    report.end()


def frozen(delivery: Delivery, *, compiled: Compiled, relay_id: int | None) -> dict[str, Any]:
    """Return all that a message is made of and is the same for everybody, as it is kept in `Preparation.frozen`."""
    return {
        "content": compiled.frozen.as_dict(),
        "subject": delivery.subject,
        "preheader": delivery.preheader,
        "from_name": delivery.from_name,
        "from_address": delivery.from_address,
        "reply_to": delivery.reply_to,
        "tracking": delivery.tracking,
        "language": delivery.language,
        "topic_id": delivery.topic_id,
        "topic_name": delivery.topic.name if delivery.topic else "",
        "relay_id": relay_id,
    }
