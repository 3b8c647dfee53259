"""What a cell of another tool's file tells about whether somebody wants mail. Pure.

Nobody is subscribed by a word that is not understood: it tells neither that they want mail nor that they have left.
"""

import re
from functools import lru_cache
from typing import NamedTuple

from webapp.audience import dates
from webapp.audience.column_names import DOUBTFUL, FIELD_OF
from webapp.audience.folding import fold
from webapp.audience.values import NO, YES

#: Words of addresses that are not written to whatever it is about, with the cause that they have on the suppression list.
_CAUSES = {
    "hard_bounce": "cleaned bounced bounce hardbounced hardbounce unreachable undeliverable invalid invalidemail",
    "complaint": "complained complaint spamcomplaint spamreport spam junk markedasspam",
    "manual": "blocklisted blocked blacklisted suppressed",
}
CAUSE_OF = {word: cause for cause, words in _CAUSES.items() for word in words.split()}

_LEFT_WORDS = """unsubscribed unsubscribe avmeldt utmeldt avregistrerad uitgeschreven afgemeld abgemeldet desabonne desinscrit
    optedout optout withdrawn removed deleted donotcontact donotemail manuallyunsubscribed"""
_NEVER_WORDS = """unconfirmed notconfirmed pending transactional nonsubscribed nonsubscriber notsubscribed neversubscribed never
    inactive disabled unactivated archived"""
_HERE_WORDS = """subscribed active enabled aktiv actief pameldt prenumererar ingeschreven angemeldet confirmed optedin optin
    doubleoptin singleoptin mailable contactable"""
LEFT = {*_LEFT_WORDS.split(), *CAUSE_OF}
NEVER = set(_NEVER_WORDS.split())
HERE = set(_HERE_WORDS.split())
_NOTHING = re.compile(
    r"(?:0000|0001)-\d\d-\d\d.*|null|none|nil|n/?a|\\N", re.IGNORECASE
)  # how some tools write no date

#: Columns in which every word but "no" means the same thing, and the cause it is; of others the words tell.
_COLUMN_CAUSES = {
    "hard_bounce": """cleantime portalbounce globalbounce bounced bouncedat bouncedate hardbounced emailhardbouncereason
        emailhardbouncereasonenum""",
    "complaint": "portalspamreport spamreport complained complainedat",
    "unsubscribed": "unsubscribedfromallemail portalunsubscribe globalunsubscribe globallyunsubscribed",
}
_CAUSE_OF_COLUMN = {name: cause for cause, names in _COLUMN_CAUSES.items() for name in names.split()}
_STATUS = re.compile(r".*(?:status|state|type)")


class Column(NamedTuple):
    """A column that tells: of leaving, or of agreeing; `sure` if whatever stands there means it; for which cause, if it is one."""

    leaving: bool
    sure: bool = False
    words_only: bool = False
    cause: str = ""


class Answer(NamedTuple):
    """What is told, as COPY takes it.

    `opt_out`: "t" has left, "f" has not, "" never agreed there or nobody can tell; `left_at`: when; `cause`: why the address
    is never written to, whatever it is about.
    """

    opt_out: str
    left_at: str = ""
    cause: str = ""


WANTS, NEITHER = Answer("f"), Answer("")


def column(name: str, field: str) -> Column:
    """Return what a column of this name tells, that goes to "opt_out" or "opt_in"."""
    folded = fold(name)
    words_only = tells_by_words(folded)
    if field == "opt_in":
        return Column(leaving=False)
    cause = _CAUSE_OF_COLUMN.get(folded, "")
    known = FIELD_OF.get(folded) == "opt_out" and not words_only
    return Column(leaving=True, sure=known or bool(cause), words_only=words_only, cause=cause)


def is_certain(folded: str) -> bool:
    """Say whether a column of this name tells by whatever stands in it."""
    return folded in _CAUSE_OF_COLUMN and folded not in DOUBTFUL


def tells_by_words(folded: str) -> bool:
    """Say whether a column of this name has words: 0 and 1 may mean anything there."""
    return _STATUS.fullmatch(folded) is not None


def is_told(cell: str, *, words_only: bool = False) -> bool:
    """Say whether a cell tells if somebody wants mail: by a word for it, by yes or no, or by a date."""
    word = fold(cell)
    return word in LEFT | NEVER | HERE or (not words_only and (word in YES | NO or dates.is_one(cell)))


@lru_cache(maxsize=20_000)
def of(cell: str, column: Column, *, month_first: bool | None) -> Answer:
    """Return what a cell tells."""
    word = fold(cell)
    if word in LEFT:
        return Answer("t", "", CAUSE_OF.get(word, column.cause))
    if word in HERE:
        return WANTS
    if word in NEVER:
        return NEITHER
    if not word or _NOTHING.fullmatch(cell) or (word in NO and not column.words_only):
        return WANTS if column.leaving and not column.words_only else NEITHER
    if column.sure or (not column.words_only and (word in YES or dates.is_one(cell))):
        at = dates.moment(cell, month_first=month_first)
        return Answer("t", at.isoformat() if at else "", column.cause) if column.leaving else WANTS
    return NEITHER


def together(answers: tuple[Answer, ...]) -> Answer:
    """Return what several cells of a row tell: who has left by one of them has left; who is unclear by one is unclear."""
    left = [one for one in answers if one.opt_out == "t"]
    if left:
        cause = next((one.cause for one in left if one.cause), "")
        return Answer("t", next((one.left_at for one in left if one.left_at), ""), cause)
    return WANTS if all(one.opt_out for one in answers) else NEITHER
