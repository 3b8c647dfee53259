import pytest
from hypothesis import given
from hypothesis import strategies as st

from webapp.mail.tokens import LENGTH, Purpose, Signer

SIGNER = Signer(["a secret"])
ids = st.integers(0, 2**32 - 1)


@given(purpose=st.sampled_from(Purpose), delivery_id=ids, seq=ids)
def test_a_token_names_its_message_for_its_purpose_only(purpose, delivery_id, seq):
    token = SIGNER.sign(purpose, delivery_id, seq)
    assert len(token) == LENGTH
    assert SIGNER.verify(purpose, token) == (delivery_id, seq)
    assert all(SIGNER.verify(other, token) is None for other in Purpose if other is not purpose)


@given(st.text(max_size=40))
def test_what_nobody_signed_is_refused(token):
    assert SIGNER.verify(Purpose.OPEN, token) is None


def test_every_changed_character_is_noticed():
    token = SIGNER.sign(Purpose.CLICK, 7, 1234)
    for place in range(LENGTH):
        other = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
        assert SIGNER.verify(Purpose.CLICK, other) is None


def test_a_rotated_key_still_verifies_and_no_longer_signs():
    old, new = Signer(["old"]), Signer(["new", "old"])
    assert new.verify(Purpose.OPEN, old.sign(Purpose.OPEN, 1, 2)) == (1, 2)
    assert new.sign(Purpose.OPEN, 1, 2) == Signer(["new"]).sign(Purpose.OPEN, 1, 2)
    assert Signer(["new"]).verify(Purpose.OPEN, old.sign(Purpose.OPEN, 1, 2)) is None


def test_no_secret_no_signer():
    with pytest.raises(ValueError, match="secret"):
        Signer([])


@given(delivery_id=ids, seq=ids)
def test_a_bundle_holds_what_each_purpose_alone_would_get(delivery_id, seq):
    bundle = SIGNER.bundle(delivery_id, seq)
    for purpose in (Purpose.OPEN, Purpose.CLICK, Purpose.UNSUBSCRIBE, Purpose.VIEW):
        assert getattr(bundle, purpose).decode() == SIGNER.sign(purpose, delivery_id, seq)
    assert bundle.bounce == SIGNER.sign_bytes(Purpose.BOUNCE, delivery_id, seq)
