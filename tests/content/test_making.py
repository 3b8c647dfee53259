"""Trying whether messages can be made: parts tried apart say what making the whole message says."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.content.test_outline import parts, values
from webapp.content.limits import OUTPUT_CHARACTERS
from webapp.content.making import Trial, make
from webapp.content.problems import TemplateProblem
from webapp.content.render import compile_content

failing = st.sampled_from(["{% if a > 3 %}more{% endif %}", "{{ a | round }}", "{% for x in b %}{{ x }}{% endfor %}"])
sources = st.lists(st.one_of(parts, parts, failing), max_size=6).map("".join)


def outcome(ask):
    try:
        return ask()
    except TemplateProblem as problem:
        return str(problem)


@settings(max_examples=300, deadline=None)
@given(subject=sources, html=sources, text=sources, person=values)
def test_a_trial_says_what_making_the_whole_message_says(subject, html, text, person):
    compiled = compile_content(subject=subject, html=f"<p>{html}</p>", text=text, base_url="https://x.example")
    whole = outcome(lambda: len(compiled.render(person).html.encode()))
    assert outcome(lambda: Trial(compiled).size(person)) == whole


def test_a_message_that_becomes_endless_is_told_as_such():
    compiled = compile_content(subject="", html="{{ a }}" * 20, text="", base_url="https://x.example")
    trial, most = Trial(compiled), OUTPUT_CHARACTERS // 20
    assert trial.size({"a": "x" * (most - 100)}) < OUTPUT_CHARACTERS
    with pytest.raises(TemplateProblem):
        trial.size({"a": "x" * (most + 1)})


def test_sizes_are_bytes_so_that_they_can_be_compared_with_what_providers_show():
    content = {"subject": "", "html": "{{ a }}{% if a %}å{% endif %}", "text": ""}
    compiled = compile_content(**content, base_url="https://x.example")
    batch = "\n".join(f"{who}\t{json.dumps({'a': name}, ensure_ascii=False)}" for who, name in [(1, "Åse"), (2, "x")])
    made = make(batch.encode(), trial=Trial(compiled))
    largest = compiled.render({"a": "Åse"}).html
    assert (made.count, made.largest) == (2, len(largest.encode())) != (2, len(largest))
