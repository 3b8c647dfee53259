"""The kinds of conditions about contacts themselves: fields, dates, attributes, topics, lists, suppression."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Numeric, and_, case, cast, exists, func, literal, not_, select

from webapp.accounts.models import User
from webapp.audience import attribute_names, lists, search, tags, topics
from webapp.audience.conditions import Choices, Kind, Operator, register
from webapp.audience.models import Attribute, Consent, Contact, ContactTag, ListMember, Subscription
from webapp.db import db
from webapp.words import LazyString, _l

FIELDS: dict[str, LazyString] = {
    "email": _l("Address"),
    "first_name": _l("First name"),
    "last_name": _l("Last name"),
    "language": _l("Language"),
    "country": _l("Country"),
    "company": _l("Company"),
    "external_id": _l("External number"),
}
DATES: dict[str, LazyString] = {"created_at": _l("Contact added"), "updated_at": _l("Contact changed")}
TEXT = {
    "is": Operator(words=_l("is"), takes="text"),
    "is_not": Operator(words=_l("is not"), takes="text"),
    "contains": Operator(words=_l("contains"), takes="text"),
    "starts": Operator(words=_l("starts with"), takes="text"),
    "empty": Operator(words=_l("is empty")),
    "filled": Operator(words=_l("is not empty")),
}
NUMBER = {
    "equals": Operator(words=_l("is the number"), takes="number"),
    "less": Operator(words=_l("is a number less than"), takes="number"),
    "more": Operator(words=_l("is a number more than"), takes="number"),
}
DATE = {
    "before": Operator(words=_l("is a date before"), takes="date"),
    "since": Operator(words=_l("is a date on or after"), takes="date"),
    "within": Operator(words=_l("is in the last (days)"), takes="whole"),
    "older": Operator(words=_l("is longer ago than (days)"), takes="whole"),
}
#: What only makes sense for days that may lie ahead, such as the end of a contract.
AHEAD = {
    "soon": Operator(words=_l("is in the next (days)"), takes="whole"),
    "later": Operator(words=_l("is further ahead than (days)"), takes="whole"),
}
BOOLEAN = {"yes": Operator(words=_l("is yes")), "no": Operator(words=_l("is no"))}
_EITHER = ("empty", "filled")
#: What can be asked of an attribute that is defined, by its type.
OF_TYPE = {
    "text": tuple(TEXT),
    "number": (*NUMBER, *_EITHER),
    "date": (*DATE, *AHEAD, *_EITHER),
    "boolean": (*BOOLEAN, *_EITHER),
    "choice": ("is", "is_not", *_EITHER),
}
IS_NUMBER = r"^-?[0-9]{1,15}([.][0-9]{1,6})?$"
IS_DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}($|[T ])"


def text_is(column: ColumnElement[Any], operator: str, value: Any) -> ColumnElement[bool]:
    """Compare a text whatever its case; nothing is the empty text."""
    own = func.coalesce(column, "")
    if operator in {"empty", "filled"}:
        return own == "" if operator == "empty" else own != ""
    low, wanted = func.lower(own), func.lower(literal(str(value)))
    found: dict[str, ColumnElement[bool]] = {
        "is": low == wanted,
        "is_not": low != wanted,
        "contains": func.strpos(low, wanted) > 0,
        "starts": func.starts_with(low, wanted),
    }
    return found[operator]


def _field(subject: str, operator: str, value: Any) -> ColumnElement[bool]:
    return text_is(getattr(Contact, _one_of(subject, FIELDS)), operator, value)


def _moment(subject: str, operator: str, value: Any) -> ColumnElement[bool]:
    column = getattr(Contact, _one_of(subject, DATES))
    if operator in {"within", "older"}:
        since = ago(int(value))
        found: ColumnElement[bool] = column >= since if operator == "within" else column < since
        return found
    day = datetime.combine(date.fromisoformat(value), time(), UTC)
    compared: ColumnElement[bool] = column < day if operator == "before" else column >= day
    return compared


def ago(days: int) -> ColumnElement[Any]:
    """Return the moment so many days before the database's now, which stands still within a transaction."""
    return func.now() - literal(timedelta(days=days))


def _attribute(subject: str, operator: str, value: Any) -> ColumnElement[bool]:
    own: ColumnElement[Any] = Contact.attributes.op("->>")(literal(subject))
    if operator in TEXT:
        return text_is(own, operator, value)
    filled = func.coalesce(own, "")
    if operator in BOOLEAN:
        return filled == ("true" if operator == "yes" else "false")
    if operator in NUMBER:
        stored = func.jsonb_typeof(Contact.attributes.op("->")(literal(subject))) == "number"
        number = case((stored, cast(filled, Numeric)), (filled.op("~")(IS_NUMBER), cast(filled, Numeric)))
        wanted = Decimal(value)
        compared = {"equals": number == wanted, "less": number < wanted, "more": number > wanted}[operator]
        return func.coalesce(compared, False)
    day = func.left(filled, 10).collate("C")
    # In this order: reading the form of a text costs more than comparing it, and few are left to be read.
    return case((_day(day, operator, value), filled.bool_op("~")(IS_DATE)), else_=False)


def _day(day: ColumnElement[Any], operator: str, value: Any) -> ColumnElement[bool]:
    """Compare days as year-month-day: their order as text is that of time, and no text can fail to be read."""
    if operator in {"before", "since"}:
        return day < literal(value) if operator == "before" else day >= literal(value)
    if operator in AHEAD:
        until = _written(ago(-int(value)))
        return day > until if operator == "later" else and_(day >= _written(func.now()), day <= until)
    since = _written(ago(int(value)))
    return day < since if operator == "older" else and_(day >= since, day <= _written(func.now()))


def _written(moment: ColumnElement[Any]) -> ColumnElement[Any]:
    """Write a moment as a day: once for the whole query, not for every contact."""
    return select(func.to_char(func.timezone("UTC", moment), "YYYY-MM-DD")).scalar_subquery()


def _topic(subject: str, operator: str, _value: Any) -> ColumnElement[bool]:
    answer = exists().where(Subscription.contact_id == Contact.id, Subscription.topic_id == int(subject))
    if operator == "never":
        return not_(answer.correlate(Contact))
    yes = Subscription.subscribed if operator == "subscribed" else not_(Subscription.subscribed)
    return answer.where(yes).correlate(Contact)


def _list(subject: str, operator: str, _value: Any) -> ColumnElement[bool]:
    member = exists().where(ListMember.contact_id == Contact.id, ListMember.list_id == int(subject)).correlate(Contact)
    return member if operator == "member" else not_(member)


def _tag(subject: str, operator: str, _value: Any) -> ColumnElement[bool]:
    has = exists().where(ContactTag.contact_id == Contact.id, ContactTag.tag_id == int(subject)).correlate(Contact)
    return has if operator == "has" else not_(has)


def _consent(subject: str, operator: str, _value: Any) -> ColumnElement[bool]:
    said = exists().where(Consent.contact_id == Contact.id, Consent.topic_id == int(subject))
    if operator == "never":
        return not_(said.correlate(Contact))
    given = Consent.given if operator == "given" else not_(Consent.given)
    return said.where(given).correlate(Contact)


def _suppressed(_subject: str, operator: str, _value: Any) -> ColumnElement[bool]:
    return search.SUPPRESSED if operator == "yes" else search.NOT_SUPPRESSED


def _one_of(subject: str, known: dict[str, LazyString]) -> str:
    if subject not in known:
        raise KeyError(subject)
    return subject


def _attributes(_by: User) -> Choices:
    labels = {row.name: row.label for row in db.session.execute(select(Attribute.name, Attribute.label))}
    labels |= {name: name for name in attribute_names.all_names() if name not in labels}
    return sorted(labels.items(), key=lambda pair: pair[1].lower())


def _of_types() -> dict[str, tuple[str, ...]]:
    return {row.name: OF_TYPE[row.kind] for row in db.session.execute(select(Attribute.name, Attribute.kind))}


def _options(name: str) -> Choices:
    options = db.session.scalar(select(Attribute.choices).where(Attribute.name == name)) or []
    return [(one, one) for one in options]


def _topics(_by: User) -> Choices:
    return [(str(one.id), one.name) for one in topics.choices()]


def _lists(by: User) -> Choices:
    return [(str(one.id), one.name) for one in lists.choices(by=by)]


def _tags(_by: User) -> Choices:
    return [(str(one.id), one.name) for one in tags.choices()]


def _named(known: dict[str, LazyString]) -> Any:
    return lambda _by: [(name, str(words)) for name, words in known.items()]


TOPIC = {
    "subscribed": Operator(words=_l("subscribed")),
    "unsubscribed": Operator(words=_l("unsubscribed")),
    "never": Operator(words=_l("never asked")),
}
LIST = {"member": Operator(words=_l("is a member")), "not_member": Operator(words=_l("is not a member"))}
CONSENT = {
    "given": Operator(words=_l("given")),
    "withdrawn": Operator(words=_l("withdrawn")),
    "never": Operator(words=_l("never recorded")),
}
TAG = {"has": Operator(words=_l("has it")), "has_not": Operator(words=_l("does not have it"))}
SUPPRESSED = {"yes": Operator(words=_l("is on it")), "no": Operator(words=_l("is not on it"))}


def provide() -> None:
    """Register them."""
    for code, words, operators, choices, expression in (
        ("field", _l("Contact"), TEXT, _named(FIELDS), _field),
        ("date", _l("Date"), DATE, _named(DATES), _moment),
        ("attribute", _l("Attribute"), TEXT | NUMBER | DATE | AHEAD | BOOLEAN, _attributes, _attribute),
        ("topic", _l("Topic"), TOPIC, _topics, _topic),
        ("consent", _l("Consent"), CONSENT, _topics, _consent),
        ("tag", _l("Tag"), TAG, _tags, _tag),
        ("list", _l("List"), LIST, _lists, _list),
        ("suppression", _l("Suppression"), SUPPRESSED, _named({"": _l("Suppression list")}), _suppressed),
    ):
        kind = Kind(code=code, words=words, operators=operators, choices=choices, expression=expression)
        register(replace(kind, offered=_of_types, suggested=_options) if code == "attribute" else kind)
