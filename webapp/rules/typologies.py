"""Typologies and their rules, as administrators keep them. Whoever changes one tells the deliveries that use it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from webapp.accounts import audit
from webapp.accounts.models import User
from webapp.accounts.rights import Right
from webapp.audience.addresses import key
from webapp.db import db
from webapp.errors import Conflict, Invalid, NotAllowed, NotFound
from webapp.rules.kinds import KINDS, LEVELS, MOST_DAYS
from webapp.rules.models import Rule, Typology
from webapp.words import _l, format_decimal

MOST_ENTRIES = 5000


def everything() -> Sequence[Typology]:
    """Return all typologies, the standard one first, then by name."""
    return db.session.scalars(select(Typology).order_by(Typology.standard.desc(), func.lower(Typology.name))).all()


def standard() -> Typology:
    """Return the typology that deliveries use unless another is chosen."""
    query = select(Typology).where(Typology.standard).execution_options(populate_existing=True)
    return db.session.scalars(query).one()


def get(typology_id: int) -> Typology:
    """Return a typology as it is now, or raise NotFound."""
    found = db.session.get(Typology, typology_id, populate_existing=True)
    if found is None:
        raise NotFound(_l("This typology does not exist, or it was deleted."))
    return found


def rule(rule_id: int) -> Rule:
    """Return a rule, or raise NotFound."""
    found = db.session.get(Rule, rule_id)
    if found is None:
        raise NotFound(_l("This rule does not exist, or it was deleted."))
    return found


def create(name: str, *, by: User, at: datetime) -> Typology:
    """Make a typology with the rules of the standard one."""
    _check(by)
    _check_name(name)
    rules = [
        Rule(kind=one.kind, name=one.name, active=one.active, level=one.level, position=place, params=dict(one.params))
        for place, one in enumerate(standard().rules)
    ]
    found = Typology(name=name, created_at=at, rules=rules)
    db.session.add(found)
    db.session.flush()
    audit.record("typology-created", by=by, at=at, object_type="typology", object_id=found.id, name=name)
    return found


def rename(found: Typology, *, name: str, by: User, at: datetime) -> None:
    """Give a typology another name."""
    _check(by)
    _check_name(name, but=found.id)
    found.name = name
    audit.record("typology-changed", by=by, at=at, object_type="typology", object_id=found.id, name=name)


def remove(found: Typology, *, by: User, at: datetime) -> None:
    """Delete a typology; refused for the standard one and where a delivery uses it."""
    _check(by)
    typology_id, name = found.id, found.name
    if found.standard:
        raise Conflict(_l("The standard typology cannot be deleted: deliveries use it."))
    try:
        with db.session.begin_nested():
            db.session.delete(found)
            db.session.flush()
    except IntegrityError:
        raise Conflict(_l("A delivery uses “%(name)s”. Choose another typology there first.", name=name)) from None
    audit.record("typology-deleted", by=by, at=at, object_type="typology", object_id=typology_id, name=name)


def add_rule(typology: Typology, kind: str, values: Mapping[str, Any], *, by: User, at: datetime) -> Rule:
    """Add a rule at the end. `values`: name, level, active, and the fields of its kind, as they were typed."""
    _check(by)
    if kind not in KINDS or KINDS[kind].built_in:
        raise Invalid(_l("Choose a kind of rule."), field="kind")
    last = max((one.position for one in typology.rules), default=-1)
    made = Rule(typology_id=typology.id, kind=kind, position=last + 1)
    _write(made, values)
    db.session.add(made)
    typology.rules.append(made)
    db.session.flush()
    _record("rule-created", made, by=by, at=at)
    return made


def change_rule(found: Rule, values: Mapping[str, Any], *, by: User, at: datetime) -> None:
    """Write a rule anew."""
    _check(by)
    _write(found, values)
    _record("rule-changed", found, by=by, at=at)


def act(found: Rule, action: str, *, by: User, at: datetime) -> None:
    """Do one thing with a rule: up, down, on, off or delete."""
    _check(by)
    kind, typology = KINDS[found.kind], get(found.typology_id)
    if action == "delete" and kind.built_in:
        raise Conflict(_l("This rule is built in: it can be switched off, but not deleted."))
    if action == "off" and kind.always:
        raise Conflict(_l("This rule cannot be switched off."))
    if action == "delete":
        _record("rule-deleted", found, by=by, at=at)
        typology.rules.remove(found)
    elif action in {"on", "off"}:
        found.active = action == "on"
        _record("rule-changed", found, by=by, at=at)
    elif action in {"up", "down"}:
        rules = [one for one in typology.rules if bool(KINDS[one.kind].checks) == bool(kind.checks)]
        others = [one for one in typology.rules if one not in rules]
        place = rules.index(found)
        rules.insert(max(place - 1, 0) if action == "up" else place + 1, rules.pop(place))
        for position, one in enumerate([*others, *rules] if kind.checks else [*rules, *others]):
            one.position = position
        _record("rule-changed", found, by=by, at=at)
    else:
        raise NotFound(_l("This rule does not exist, or it was deleted."))
    db.session.flush()
    db.session.expire(typology, ["rules"])


def lines(text: Any) -> list[str]:
    """Return what was typed as a list: each entry once, in order; lines, commas and blanks part them."""
    typed = str(text or "").replace(",", " ").replace(";", " ").lower().split()
    return list(dict.fromkeys(typed))


def _write(found: Rule, values: Mapping[str, Any]) -> None:
    kind = KINDS[found.kind]
    level = kind.level if kind.fixed else values.get("level")
    if level not in LEVELS:
        raise Invalid(_l("Choose a level."), field="level")
    found.name = str(values.get("name") or "")
    found.level = str(level)
    found.active = bool(values.get("active")) or kind.always
    found.params = {name: _CHECKED[name](values.get(name)) for name in kind.fields}


def _domains(typed: Any) -> list[str]:
    found = []
    for entry in lines(typed):
        address = key(f"a@{entry.removeprefix('@')}")
        if address is None:
            raise Invalid(_l("“%(entry)s” is not a domain.", entry=entry[:80]), field="domains")
        found.append(address.rpartition("@")[2])
    return _some(found, "domains")


def _addresses(typed: Any) -> list[str]:
    found = []
    for entry in lines(typed):
        address = key(entry)
        if address is None:
            raise Invalid(_l("“%(entry)s” is not an e-mail address.", entry=entry[:80]), field="addresses")
        found.append(address)
    return _some(found, "addresses")


def _some(found: list[str], field: str) -> list[str]:
    if not 0 < len(found) <= MOST_ENTRIES:
        raise Invalid(_l("Fill in from 1 to %(most)s entries.", most=format_decimal(MOST_ENTRIES)), field=field)
    return list(dict.fromkeys(found))


def _number(field: str, least: float, most: float) -> Any:
    def checked(typed: Any) -> Any:
        if typed is None or not least <= typed <= most:
            raise Invalid(
                _l("Fill in a number from %(least)s to %(most)s.", least=least, most=format_decimal(most)), field=field
            )
        return typed

    return checked


def _consent(typed: Any) -> str:
    if typed not in {"withdrawn", "none"}:
        raise Invalid(_l("Choose whose consent counts."), field="consent")
    return str(typed)


_CHECKED = {
    "consent": _consent,
    "domains": _domains,
    "addresses": _addresses,
    "percent": lambda typed: float(_number("percent", 0.01, 99)(typed)),
    "number": _number("number", 1, 100_000_000),
    "messages": _number("messages", 1, 100),
    "days": _number("days", 1, MOST_DAYS),
}


def _check(by: User) -> None:
    if not by.can(Right.ADMIN):
        raise NotAllowed(_l("Your permissions do not allow this."))


def _check_name(name: str, *, but: int | None = None) -> None:
    query = select(Typology.id).where(func.lower(Typology.name) == name.lower(), Typology.id.is_distinct_from(but))
    if db.session.scalar(query) is not None:
        raise Invalid(_l("There is a typology of this name already. Choose another."), field="name")


def _record(action: str, found: Rule, *, by: User, at: datetime) -> None:
    name = found.name or found.kind
    audit.record(action, by=by, at=at, object_type="rule", object_id=found.id, name=name)
