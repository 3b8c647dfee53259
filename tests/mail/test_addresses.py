import pytest
from hypothesis import given
from hypothesis import strategies as st

from webapp.mail.addresses import InvalidAddress, normalise, parse_address, read_return_path, return_path
from webapp.mail.tokens import Purpose, Signer


@pytest.mark.parametrize(
    ("text", "email", "key"),
    [
        ("Ann@Example.COM", "Ann@example.com", "ann@example.com"),
        (" ann@example.com ", "ann@example.com", "ann@example.com"),
        ("jørgen@blåbær.no", "jørgen@xn--blbr-roah.no", "jørgen@xn--blbr-roah.no"),
        ("Jo\u0308rg@example.org", "Jörg@example.org", "jörg@example.org"),
        ("a.b+c@sub.example.org", "a.b+c@sub.example.org", "a.b+c@sub.example.org"),
    ],
)
def test_an_address_has_one_way_to_be_written_and_one_key(text, email, key):
    assert parse_address(text) == (email, key)
    assert normalise(text) == key


@pytest.mark.parametrize(
    "text",
    ["", "ann", "ann@", "@example.com", "ann@exa mple.com", "a\nb@example.com", "ann@@example.com", "ann@-x.org"],
)
def test_what_is_no_address_is_refused(text):
    with pytest.raises(InvalidAddress):
        parse_address(text)


@given(st.text())
def test_normalising_never_fails_and_is_stable(text):
    assert normalise(normalise(text)) == normalise(text)


def test_a_return_path_survives_folded_case():
    token = Signer(["s"]).sign_bytes(Purpose.BOUNCE, 12, 34)
    address = return_path(token.hex(), "bounces.example.org")
    assert len(address.partition("@")[0]) <= 64
    assert read_return_path(address.upper()) == token
    assert read_return_path("ann@example.org") is None
    assert read_return_path("bounce+zz@example.org") is None
