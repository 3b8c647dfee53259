import os
import subprocess
import sys
from uuid import uuid4

import pytest

from webapp.mail.replies import Kind
from webapp.sending import journal
from webapp.sending.journal import ANSWERED, HANDED, UNTOUCHED, Journal, Note, find, path_of


@pytest.fixture
def token():
    return uuid4()


def test_it_tells_what_was_handed_and_what_was_answered(tmp_path, token):
    own = Journal(path_of(tmp_path, token), [5, 9, 700_000])
    assert own.hand(0)
    assert own.hand(2)
    own.answer(2, outcome=3, code=550)
    found = find(tmp_path, token)
    assert found.notes() == {5: Note(HANDED), 9: Note(UNTOUCHED), 700_000: Note(ANSWERED, 3, 550)}


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("code", [0, 250, 599, 999])
def test_it_tells_whom_an_answer_is_about(tmp_path, token, kind, code):
    own = Journal(path_of(tmp_path, token), [1])
    own.answer(0, outcome=4, code=code, kind=kind)
    assert find(tmp_path, token).notes() == {1: Note(ANSWERED, 4, code, kind)}


def test_a_sealed_journal_keeps_messages_back(tmp_path, token):
    own = Journal(path_of(tmp_path, token), [1, 2])
    assert own.hand(0)
    find(tmp_path, token).seal()
    assert not own.hand(1)


def test_a_message_taken_back_is_untouched(tmp_path, token):
    own = Journal(path_of(tmp_path, token), [1])
    own.hand(0)
    own.take_back(0)
    assert find(tmp_path, token).notes() == {1: Note(UNTOUCHED)}


def test_a_living_owner_is_not_dead_and_a_killed_one_is(tmp_path, token):
    script = (
        "import sys, time; from pathlib import Path; from webapp.sending.journal import Journal\n"
        "Journal(Path(sys.argv[1]), [1, 2]).hand(0); print('ready', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(path_of(tmp_path, token))], stdout=subprocess.PIPE, env={**os.environ}
    )
    with process:
        process.stdout.readline()
        assert not find(tmp_path, token).owner_is_dead
        process.kill()
        process.wait()
        found = find(tmp_path, token)
        assert found.owner_is_dead
        assert found.notes() == {1: Note(HANDED), 2: Note(UNTOUCHED)}


def test_what_is_no_journal_is_not_believed(tmp_path, token):
    assert find(tmp_path, token) is None
    path_of(tmp_path, token).write_bytes(b"something else that is long enough to be looked at, but no journal")
    assert find(tmp_path, token) is None


def test_a_journal_of_another_boot_is_not_believed(tmp_path, token, monkeypatch):
    Journal(path_of(tmp_path, token), [1])
    monkeypatch.setattr(journal, "_boot", lambda: b"another boot, !!")
    assert find(tmp_path, token) is None


def test_a_journal_is_readable_by_its_owner_only(tmp_path, token):
    Journal(path_of(tmp_path, token), [1])
    assert path_of(tmp_path, token).stat().st_mode & 0o077 == 0


def test_a_disk_that_is_full_leaves_no_half_journal(tmp_path, token, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(journal.mmap, "mmap", full)
    with pytest.raises(OSError, match="No space"):
        Journal(path_of(tmp_path, token), [1, 2])
    assert list(tmp_path.iterdir()) == []
