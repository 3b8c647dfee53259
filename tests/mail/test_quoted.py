import quopri

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from webapp.mail.quoted import SOFT_BREAK, Pieces, is_same, piece, quoted, value

body_text = st.one_of(
    st.text(st.characters(exclude_categories=("Cs",))),
    st.text(".=\t \n\r\u00e5x", max_size=400),
    st.lists(st.sampled_from([".", "..", "x" * 80, "=", " ", "\r\n", "\n", "å" * 30]), max_size=30).map("".join),
)


def unix(text):
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read(encoded):
    return quopri.decodestring(encoded).decode().replace("\r\n", "\n")


def check_form(encoded):
    assert encoded.isascii()
    lines = encoded.split(b"\r\n")
    assert all(len(line) <= 76 and line == line.rstrip(b" \t") and line[:1] != b"." for line in lines)
    assert encoded.count(b"\r") == encoded.count(b"\n") == encoded.count(b"\r\n")


@settings(max_examples=300, deadline=None)
@given(text=body_text)
@example(text="00\x80\x80\x80\x80\U00010000\U00010000\U00010000\U00010000\t")
@example(text=" " * 80 + "\n" + "x" * 75 + " \n" + "x" * 76 + "\t")
@example(text="." * 500)
@example(text="x" * 75 + "." * 200 + "\n." + "y" * 75 + ".z\n.\n..\n")
def test_a_text_is_read_as_it_was_and_its_lines_are_short_and_begin_with_no_dot(text):
    encoded = quoted(text)
    check_form(encoded)
    assert encoded.endswith(b"\r\n")
    assert read(encoded) == (unix(text) if unix(text).endswith("\n") else unix(text) + "\n")


@settings(max_examples=200, deadline=None)
@given(texts=st.lists(body_text, max_size=8))
def test_pieces_encoded_apart_say_the_same_as_the_whole(texts):
    known = Pieces()
    for _ in range(2):
        encoded = known.join(texts)
        check_form(encoded)
        assert encoded == b"".join(map(piece, texts))
        assert read(encoded) == "".join(map(unix, texts))


@settings(max_examples=200, deadline=None)
@given(before=body_text, text=body_text, after=body_text)
def test_a_value_between_pieces_says_the_same_as_the_whole(before, text, after):
    encoded = piece(before) + value(text) + SOFT_BREAK + piece(after)
    check_form(encoded)
    assert read(encoded) == unix(before) + unix(text) + unix(after)


@settings(max_examples=300, deadline=None)
@given(text=st.one_of(body_text, st.text("Az09@:/?!,;()_+*. -=&<>'\"\n", max_size=80)))
def test_what_needs_no_encoding_is_read_as_it_was(text):
    if is_same(text):
        encoded = text.encode() + SOFT_BREAK
        check_form(encoded)
        assert read(encoded) == text
        assert not set(text) & set("&<>'\"")


@pytest.mark.parametrize("text", ["Ann Marie", "ann.b@example.com", "2026-11-21", "Kr. 5,00"])
def test_everyday_values_need_no_encoding(text):
    assert is_same(text)
