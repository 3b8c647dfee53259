"""Why a delivery is where it is: the words for `Delivery.state_reason` and for the reasons of moves."""

from collections.abc import Mapping
from typing import Any

from webapp.words import LazyString, _l, written

REASONS: dict[str, LazyString] = {
    # back in Draft
    "changed": _l("Changed since it was prepared: prepare again"),
    "rules_changed": _l("The rules changed since it was prepared: prepare again"),
    "preparation_stopped": _l("The preparation was stopped. Nothing was sent."),
    # Preparation failed
    "target_empty": _l("The lists hold nobody to send to"),
    "all_excluded": _l("The rules leave out all %(count)s recipients"),
    "topic_missing": _l("No topic is chosen, so nobody can be known to want this"),
    "content_unreadable": _l("A merge field or condition in the content cannot be read"),
    "rule_error": _l("A rule whose level is error left out %(count)s recipients"),
    "check_failed": _l("The control rules found errors: %(count)s"),
    "contacts_gone": _l("Contacts were deleted, erased or merged meanwhile (%(count)s): prepare again"),
    "relay_missing": _l("There is no relay that can be used"),
    "personalisation_failed": _l("%(count)s of %(of)s messages could not be made"),
    "message_too_large": _l("A message is too large: %(size)s KB, and %(limit)s KB is the limit"),
    "not_allowed": _l("Whoever asked for the preparation may not prepare any more"),
    "unexpected": _l("Something unexpected went wrong, and was written to the log of the server"),
    # back in Ready
    "unscheduled": _l("The schedule was taken back"),
    "missed": _l("Its time was missed while the system was down, so it is held and asks"),
    "confirmer_gone": _l("Whoever confirmed it may not confirm any more, so it is held and asks"),
    "not_sendable": _l("At its time something stood in the way, so it is held and asks: %(problem)s"),
    # Paused
    "paused": _l("Paused by a person"),
    "relay_unreachable": _l("The relay cannot be reached"),
    "relay_tokens": _l("The provider of access tokens gives none"),
    "relay_login": _l("The relay refuses the login"),
    "relay_certificate": _l("The certificate of the relay is not valid"),
    "relay_tls": _l("No encrypted connection to the relay can be made"),
    "relay_broken": _l("The relay keeps breaking off"),
    "relay_refuses": _l("The relay takes nothing, for reasons of its own"),
    "refusals": _l("The relay refused %(count)s messages in a row"),
    "bounces": _l("%(percent)s %% of the addresses were refused, more than the limit of %(limit)s %%"),
    "complaints": _l("%(percent)s %% of the recipients complained, more than the limit of %(limit)s %%"),
    "dkim_key": _l("The messages cannot be signed: the DKIM key cannot be read"),
    "content": _l("The messages cannot be made"),
}

#: What to do about a failed preparation: words, and the step that mends it.
ADVICE: dict[str, tuple[LazyString, str]] = {
    "target_empty": (_l("Choose lists with people in them, or fewer lists to leave out."), "audience"),
    "all_excluded": (_l("Look at the causes below: another topic or other lists may be meant."), "audience"),
    "rule_error": (_l("The log names the rule. Change the audience, or ask an administrator."), "audience"),
    "topic_missing": (_l("Choose what the recipients subscribe to."), "setup"),
    "content_unreadable": (_l("The log names the line. Mend it and prepare again."), "content"),
    "check_failed": (_l("Each error stands in the log. Mend them and prepare again."), "content"),
    "relay_missing": (_l("Choose a relay, or ask an administrator to set one up."), "setup"),
    "personalisation_failed": (_l("Give the field something to fall back on, or mend the contacts."), "content"),
    "message_too_large": (_l("Shorten the content: larger messages are cut off by mailbox providers."), "content"),
    "not_allowed": (_l("Somebody who may prepare must start it."), "prepare"),
    "unexpected": (_l("Prepare again; if it comes back, tell your administrator."), "prepare"),
}


#: What to do about a delivery that paused by itself.
PAUSE_ADVICE: dict[str, LazyString] = {
    "relay_missing": _l("Ask an administrator to set up a relay, or choose another in a copy. Then resume."),
    "relay_unreachable": _l("Ask an administrator to try the relay out (Settings, Relays). Resume when it answers."),
    "relay_tokens": _l("Ask an administrator to try the relay out (Settings, Relays). Resume when it answers."),
    "relay_login": _l("Ask an administrator to enter user name and password of the relay again. Then resume."),
    "relay_login_by_token": _l(
        "Ask an administrator to enter anew what the provider gave (Settings, Relays: Change, then Sign in by OAuth 2). Then resume."
    ),
    "relay_certificate": _l(
        "Ask an administrator: the relay must be written as its certificate names it. Then resume."
    ),
    "relay_tls": _l("Ask an administrator to choose the encryption that the relay speaks. Then resume."),
    "relay_broken": _l("Ask an administrator to try the relay out (Settings, Relays), then resume."),
    "relay_refuses": _l(
        "What the relay says stands in the activity. Ask an administrator to try it out (Settings, Relays), then resume."
    ),
    "refusals": _l("What the relay says stands in the activity. Mend that, or resume if it has passed."),
    "bounces": _l("Look at the failed recipients: a list that is old or bought is best stopped. Resume goes on."),
    "complaints": _l("Stop it if people did not ask for this mail: more complaints get all your mail blocked."),
    "dkim_key": _l("Ask an administrator to make a new key (Settings, Sending domains). Then resume."),
    "content": _l("Stop it, and send the rest from a copy in which the content is mended."),
}


def pause_advice(reason: str | None, params: Mapping[str, Any] | None = None) -> str:
    """Say what to do about a delivery that paused by itself, or nothing."""
    if reason == "relay_login" and params and params.get("by_token"):
        reason = "relay_login_by_token"
    return str(PAUSE_ADVICE[reason]) if reason in PAUSE_ADVICE else ""


def words(reason: str | None, params: Mapping[str, Any] | None = None) -> str:
    """Say a reason in the reader's language; what a person wrote is shown as it is, and no reason is empty."""
    if not reason:
        return ""
    found = REASONS.get(reason)
    if found is None:
        return reason
    shown = {name: written(value) for name, value in (params or {}).items()}
    try:
        return str(found) % shown
    except (KeyError, ValueError):
        return str(found)
