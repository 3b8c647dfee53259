"""Causes in words."""

from webapp.rules import causes


def test_details_are_told_in_words_and_what_a_rule_names_as_it_is():
    assert str(causes.told("suppressed", "hard_bounce")) == "Hard bounce"
    assert str(causes.told("late", "unsubscribed")) == "Unsubscribed"
    assert str(causes.told("address_invalid", "no_at")) == "The address has no @"
    assert causes.told("domain-3", "example.org") == "example.org"
    assert causes.told("duplicate", "12") == "Same as contact 12"
    assert causes.told("pressure-30", None) == ""
