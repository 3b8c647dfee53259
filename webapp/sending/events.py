"""The activity log of a delivery: what happened while it was sent, in words."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from webapp.db import db
from webapp.deliveries.models import Event
from webapp.events import announce
from webapp.words import Counted, LazyString, _l, written

#: Code of an event → its words; `params` of the event fill them in.
WORDS: dict[str, LazyString | Counted] = {
    "started": _l("Sending started over relay “%(relay)s”"),
    "resumed": _l("Sending resumed"),
    "paused": _l("Paused: nothing goes out until it is resumed"),
    "stopped": Counted("Stopped: %(count)s message was cancelled", "Stopped: %(count)s messages were cancelled"),
    "finished": _l("Finished: %(sent)s sent, %(failed)s failed, %(unconfirmed)s unconfirmed"),
    "retry_wave": Counted(
        "%(count)s temporary refusal will be tried again (attempt %(attempt)s)",
        "%(count)s temporary refusals will be tried again (attempt %(attempt)s)",
    ),
    "rescued": _l("A sending process died. Messages that wait again: %(returned)s. Unconfirmed: %(unconfirmed)s."),
    "excluded_late": Counted(
        "%(count)s recipient left out: unsubscribed or suppressed since preparation",
        "%(count)s recipients left out: unsubscribed or suppressed since preparation",
    ),
    "machine_back": Counted(
        "A machine is back: its journal tells what became of %(count)s unconfirmed message",
        "A machine is back: its journal tells what became of %(count)s unconfirmed messages",
    ),
    "connection_lost": _l("The connection to the relay was lost: %(text)s"),
    "plain": _l("The relay lost count of grouped commands: they are sent one at a time now"),
    "treated_as_sent": Counted(
        "%(count)s unconfirmed message is treated as sent, by %(user)s",
        "%(count)s unconfirmed messages are treated as sent, by %(user)s",
    ),
    "sent_again": Counted(
        "%(count)s unconfirmed message is sent again, by %(user)s",
        "%(count)s unconfirmed messages are sent again, by %(user)s",
    ),
    "relay_switched": _l("Relay “%(relay)s” fails (%(text)s): sending goes on over “%(other)s”"),
    "relay_back": _l("Sending goes over relay “%(relay)s” again"),
    "relay_day_used": _l(
        "Relay “%(relay)s” is being warmed up and has had its %(count)s messages of today: the rest goes out tomorrow"
    ),
    "domain_day_used": _l(
        "Sending domain %(domain)s is being warmed up and has had its %(count)s messages of today: the rest goes out tomorrow"
    ),
    "quiet": _l("Quiet hours: goes on at %(time)s"),
    "came_back": Counted(
        "%(count)s message came back after the relay had taken it",
        "%(count)s messages came back after the relay had taken them",
    ),
    "complained": Counted(
        "%(count)s recipient reported the message as unwanted", "%(count)s recipients reported the message as unwanted"
    ),
    "slowed": _l("%(name)s is slowed down to %(per_minute)s messages a minute (%(text)s)"),
    "relay_unreachable": _l("Paused: the relay cannot be reached (%(text)s)"),
    "relay_tokens": _l("Paused: the provider of access tokens gives none (%(text)s)"),
    "relay_login": _l("Paused: the relay refuses the login (%(text)s)"),
    "relay_certificate": _l("Paused: the certificate of the relay is not valid (%(text)s)"),
    "relay_tls": _l("Paused: no encrypted connection to the relay (%(text)s)"),
    "relay_broken": _l("Paused: the relay keeps breaking off (%(text)s)"),
    "relay_refuses": _l("Paused: the relay takes nothing, for reasons of its own (%(text)s)"),
    "relay_missing": _l("Paused: there is no usable relay"),
    "refusals": _l("Paused: the relay refused %(count)s messages in a row (%(text)s)"),
    "bounces": _l("Paused: %(percent)s %% of the addresses were refused, more than the limit of %(limit)s %%"),
    "complaints": _l("Paused: %(percent)s %% of the recipients complained, more than the limit of %(limit)s %%"),
    "dkim_key": _l("Paused: the messages cannot be signed (%(text)s)"),
    "content": _l("Paused: the messages cannot be made (%(text)s)"),
}


def note(delivery_id: int, *, at: datetime, code: str, level: str = "info", **params: Any) -> None:
    """Write a line of the activity log."""
    if code not in WORDS:
        raise ValueError(f"No words for {code!r}.")
    db.session.add(Event(delivery_id=delivery_id, at=at, level=level, code=code, params=params))
    announce("delivery", delivery_id)


def tally(delivery_id: int, *, at: datetime, code: str, count: int, **params: Any) -> None:
    """Count what happens often in one line a minute: the line of the last minute grows, if there is one."""
    line = last(delivery_id, code=code)
    same = line is not None and all(line.params.get(name) == value for name, value in params.items())
    if line is not None and same and at - line.at < timedelta(minutes=1):
        line.params = {**line.params, "count": line.params.get("count", 0) + count}
    else:
        note(delivery_id, at=at, code=code, level="warning", count=count, **params)


def rescued(delivery_id: int, *, at: datetime, returned: int, unconfirmed: int) -> None:
    """Tell what was rescued at one moment in one line, however many claims it was."""
    line = last(delivery_id, code="rescued")
    if line is not None and line.at == at:
        found = line.params
        line.params = {"returned": found["returned"] + returned, "unconfirmed": found["unconfirmed"] + unconfirmed}
    else:
        note(delivery_id, at=at, code="rescued", level="warning", returned=returned, unconfirmed=unconfirmed)


def last(delivery_id: int, *, code: str) -> Event | None:
    """Return the latest line of one kind."""
    query = select(Event).where(Event.delivery_id == delivery_id, Event.code == code).order_by(Event.id.desc())
    return db.session.scalars(query.limit(1)).first()


def words(event: Event) -> str:
    """Say what happened, in the reader's language."""
    found = WORDS.get(event.code)
    if found is None:
        return event.code
    shown = {name: written(value) for name, value in event.params.items()}
    if isinstance(found, Counted):
        return found.said(event.params["count"], **shown)
    return str(found) % shown
