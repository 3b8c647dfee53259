"""Control rules: which of the things that are found in sender and content count, at which level, and in which order."""

from collections.abc import Iterable
from dataclasses import replace

from webapp.content.findings import Finding
from webapp.rules.kinds import KINDS
from webapp.rules.models import Typology


def controlled(findings: Iterable[Finding], typology: Typology) -> list[Finding]:
    """Return the findings that the rules of a typology ask for, at the level of their rule, in the order of the rules.

    What no rule asks about (such as a missing audience) stays as it is, before the others.
    """
    asked = {code: (place, rule) for place, rule in enumerate(typology.rules) for code in KINDS[rule.kind].checks}
    known = {code for kind in KINDS.values() for code in kind.checks}
    found: list[tuple[int, Finding]] = []
    for finding in findings:
        place, rule = asked.get(finding.code, (-1, None))
        if rule is None and finding.code not in known:
            found.append((-1, finding))
        elif rule is not None and KINDS[rule.kind].fixed:
            found.append((place, finding))
        elif rule is not None and rule.active:
            found.append((place, replace(finding, level=rule.level)))
    return [finding for _place, finding in sorted(found, key=lambda entry: entry[0])]
