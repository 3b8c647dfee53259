"""Words with a number in them: each language has its own forms."""

import pytest

from webapp.audience import progress_views
from webapp.deliveries import reasons
from webapp.deliveries.models import Event, PreparationLog
from webapp.deliveries.preparation_words import line_words
from webapp.sending import events
from webapp.words import Counted, speaking


@pytest.mark.parametrize(
    ("language", "none", "one", "two"),
    [
        ("en", "0 messages were", "1 message was", "2 messages were"),
        ("nb", "0 meldinger", "1 melding ", "2 meldinger"),
        ("sv", "0 meddelanden", "1 meddelande ", "2 meddelanden"),
        ("nl", "0 berichten", "1 bericht ", "2 berichten"),
    ],
)
def test_a_number_takes_the_form_of_its_language(app, language, none, one, two):
    with app.test_request_context(), speaking(language):
        for count, expected in enumerate((none, one, two)):
            assert expected in events.words(Event(code="stopped", params={"count": count}))


@pytest.mark.parametrize(
    ("language", "expected"), [("en", "0.30 %"), ("nb", "0,30 %"), ("sv", "0,30 %"), ("nl", "0,30 %")]
)
def test_a_share_in_a_reason_has_the_decimal_mark_of_the_language(app, language, expected):
    with app.test_request_context(), speaking(language):
        assert expected in reasons.words("complaints", {"percent": "0.30", "limit": "0.1"}).replace("\xa0", " ")


def test_what_undoing_one_row_came_to_is_said_of_one(app):
    with app.test_request_context():
        assert progress_views.undone({"removed": 1, "untagged": 2}) == [
            "1 contact it had made is gone.",
            "2 tags are taken off.",
        ]
        counts = dict.fromkeys(("created", "updated", "unchanged", "duplicates"), 0) | {"rows": 1, "rejected": 1}
        assert progress_views.sums(counts)[0].startswith("1 row = 0 new")


def test_a_line_whose_number_was_not_kept_is_shown_as_it_is(app):
    with app.test_request_context():
        line = PreparationLog(code="frozen", params={"fingerprint": "abc"})
        assert line_words(line, number=str) == "Frozen: %(count)s messages, fingerprint %(fingerprint)s"
        assert Counted("%(n)s mail", "%(n)s mails").said(1, n=1) == "1 mail"
