"""Why a delivery is where it is, in words."""

import pytest

from webapp.deliveries import reasons
from webapp.words import speaking


@pytest.mark.parametrize(("language", "number"), [("en", "5,000"), ("nl", "5.000")])
def test_numbers_are_written_as_the_language_writes_them(app, language, number):
    with app.app_context(), speaking(language):
        assert number in reasons.words("all_excluded", {"count": 5000})


def test_a_reason_that_lacks_its_numbers_is_still_said(app):
    with app.app_context():
        assert reasons.words("all_excluded") == "The rules leave out all %(count)s recipients"
        assert reasons.words("", {"count": 1}) == ""
        assert reasons.words("because I say so") == "because I say so"
