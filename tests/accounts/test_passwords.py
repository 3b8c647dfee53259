"""Hashing, and what may be a password."""

import subprocess
import sys
import textwrap

import pytest

from webapp.accounts import passwords
from webapp.errors import Invalid


def test_a_hash_is_argon2id_of_its_own_and_fits_only_its_password():
    one, other = passwords.hashed("correct horse"), passwords.hashed("correct horse")
    assert one != other
    assert one.startswith("$argon2id$")
    assert passwords.fits("correct horse", kept=one)
    assert not passwords.fits("correct horse ", kept=one)
    assert not passwords.fits("correct horse", kept="nonsense")
    assert not passwords.fits("correct horse", kept=None)


@pytest.mark.parametrize(
    "weak", ["", "short", "aaaaaaaaaaaaaa", "abababababab", "MAJA@example.com", "Maja Nilsen", "x1y2z" * 50]
)
def test_what_can_be_guessed_at_once_or_costs_too_much_is_refused(weak):
    with pytest.raises(Invalid) as refused:
        passwords.check_strength(weak, email="maja@example.com", name="Maja Nilsen")
    assert refused.value.field == "password"


def test_a_sentence_in_any_script_is_taken():
    passwords.check_strength("blåbær og rømme", email="maja@example.com", name="Maja")
    passwords.check_strength("правильная лошадь", email="maja@example.com", name="Maja")


def test_others_are_served_while_a_password_is_hashed_under_gevent():
    program = """
        from gevent import monkey; monkey.patch_all()
        import gevent
        from webapp.accounts import passwords
        beats = []
        def beat():
            while True:
                gevent.sleep(0.002); beats.append(1)
        gevent.spawn(beat)
        assert passwords.fits("correct horse", kept=passwords.hashed("correct horse"))
        print(len(beats))
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True)
    assert int(done.stdout) >= 1
