import pytest

from tests.fixtures import T0
from webapp.accounts.models import Folder, Notice
from webapp.audience.models import ListMember
from webapp.db import db, transaction
from webapp.deliveries import approval, confirm, control, copies, ledger, preparation
from webapp.deliveries.editing_guard import changed
from webapp.deliveries.models import Chunk, Message, Move
from webapp.deliveries.states import Outcome
from webapp.errors import Conflict, Invalid, NotAllowed
from webapp.mail.outbox import Letter


def shown(delivery):
    prepared = preparation.current(delivery)
    return {"count": prepared.to_deliver, "fingerprint": prepared.fingerprint}


def test_send_now_lets_exactly_what_was_shown_go(ready, people):
    with transaction():
        confirm.send_now(ready.id, by=people.supervisor, at=T0, **shown(ready))
    assert (ready.state, ready.confirmed_by_id, ready.started_at) == ("sending", people.supervisor.id, T0)


def test_nothing_is_sent_if_the_count_or_the_content_is_not_what_was_shown(ready, people):
    seen = shown(ready)
    for wrong in (seen | {"count": 249}, seen | {"fingerprint": "0" * 64}):
        with pytest.raises(Conflict), transaction():
            confirm.send_now(ready.id, by=people.supervisor, at=T0, **wrong)
    assert ready.state == "ready"


def test_nothing_is_sent_of_a_delivery_that_was_edited_meanwhile(ready, people):
    seen = shown(ready)
    with transaction():
        changed(ready.id, by=people.marketer, at=T0)
    with pytest.raises(Conflict) as refused, transaction():
        confirm.send_now(ready.id, by=people.supervisor, at=T0, **seen)
    assert refused.value.facts["state"] == "draft"


def test_nobody_confirms_without_the_right(ready, people):
    with pytest.raises(NotAllowed), transaction():
        confirm.send_now(ready.id, by=people.marketer, at=T0, **shown(ready))


def test_a_relay_that_is_switched_off_after_preparation_stands_in_the_way(ready, people, relay):
    with transaction():
        relay.active = False
    assert [problem.code for problem in confirm.problems(ready)] == ["relay_missing"]
    with pytest.raises(Conflict), transaction():
        confirm.send_now(ready.id, by=people.supervisor, at=T0, **shown(ready))


def test_a_draft_says_that_it_must_be_prepared(make_delivery, relay):
    assert [problem.code for problem in confirm.problems(make_delivery())] == ["not_prepared"]


def test_asking_for_confirmation_tells_those_who_may_in_the_app_and_by_mail(ready, people):
    with transaction():
        assert confirm.ask(ready.id, by=people.marketer, at=T0) == 1
    assert db.session.query(Notice).one().user_id == people.supervisor.id
    letter = db.session.query(Letter).one()
    assert letter.to_address == "confirmer@example.com"
    assert f"/deliveries/{ready.id}/confirm" in letter.text


@pytest.fixture
def strict(make_delivery, prepare):
    with transaction():
        folder = Folder(name="Board", requires_approval=True)
        db.session.add(folder)
    delivery = make_delivery(folder=folder)
    with transaction():
        delivery.last_editor_id = prepare.by.id
    prepare(delivery)
    return delivery


def test_where_a_folder_requires_approval_nothing_goes_without_it(strict, people):
    assert approval.look(strict) == "approval"
    with pytest.raises(Conflict), transaction():
        confirm.send_now(strict.id, by=people.supervisor, at=T0, **shown(strict))
    with transaction():
        approval.decide(
            strict.id, approved=True, comment="", fingerprint=shown(strict)["fingerprint"], by=people.reviewer, at=T0
        )
    assert approval.look(strict) == "ready"
    with transaction():
        confirm.send_now(strict.id, by=people.supervisor, at=T0, **shown(strict))


def test_an_approval_is_void_once_the_content_has_changed(strict, people, prepare):
    with transaction():
        approval.decide(
            strict.id, approved=True, comment="", fingerprint=shown(strict)["fingerprint"], by=people.reviewer, at=T0
        )
    with transaction():
        changed(strict.id, by=people.marketer, at=T0)
        strict.subject = "Another subject"
    prepare(strict)
    assert approval.missing(strict)


def test_the_last_editor_approves_nothing_and_a_rejection_says_why(strict, people):
    with transaction():
        strict.last_editor_id = people.supervisor.id
    seen = shown(strict)["fingerprint"]
    with pytest.raises(NotAllowed), transaction():
        approval.decide(strict.id, approved=True, comment="", fingerprint=seen, by=people.supervisor, at=T0)
    with pytest.raises(Invalid), transaction():
        approval.decide(strict.id, approved=False, comment=" ", fingerprint=seen, by=people.reviewer, at=T0)
    with transaction():
        approval.decide(strict.id, approved=False, comment="Wrong price", fingerprint=seen, by=people.reviewer, at=T0)
    assert "Wrong price" in str(confirm.problems(strict)[-1].words)


@pytest.fixture
def sending(ready, people):
    with transaction():
        confirm.send_now(ready.id, by=people.supervisor, at=T0, **shown(ready))
    return ready


def test_pause_and_resume_lose_nothing(sending, people):
    with transaction():
        control.pause(sending.id, by=people.supervisor, at=T0)
    with transaction():
        control.resume(sending.id, by=people.supervisor, at=T0)
    assert (sending.state, ledger.read(sending.id).waiting) == ("sending", 250)


def test_stop_cancels_what_nobody_has_claimed_and_leaves_the_rest_to_its_worker(sending, people):
    with transaction():
        chunk = db.session.query(Chunk).filter_by(no=1).one()
        chunk.lease_token = "0f0e0d0c-0b0a-4908-8706-050403020100"
        ledger.shift(sending.id, at=T0, waiting=-100, sending=100)
    with transaction():
        assert control.stop(sending.id, by=people.supervisor, at=T0, reason="Wrong price") == 150
    found = ledger.read(sending.id)
    assert (found.waiting, found.sending, found.cancelled, found.difference) == (0, 100, 150, 0)
    assert db.session.query(Message).filter_by(status=Outcome.CANCELLED).count() == 150
    assert db.session.query(Chunk).one().no == 1
    assert db.session.query(Move).order_by(Move.id.desc()).first().reason == "Wrong price"
    with pytest.raises(Conflict), transaction():
        control.resume(sending.id, by=people.supervisor, at=T0)


def test_the_rest_of_a_stopped_delivery_becomes_a_delivery_of_its_own(sending, people):
    with transaction():
        control.stop(sending.id, by=people.supervisor, at=T0)
    with transaction():
        made = copies.to_the_rest(sending.id, outcomes=copies.REST, by=people.marketer, at=T0)
    assert (made.state, made.subject, made.copied_from_id) == ("draft", sending.subject, sending.id)
    assert db.session.query(ListMember).filter_by(list_id=made.targets[0].list_id).count() == 250


def test_nobody_is_left_out_of_the_rest_because_a_worker_still_holds_messages(sending, people):
    with transaction():
        db.session.query(Chunk).filter_by(no=1).one().lease_token = "0f0e0d0c-0b0a-4908-8706-050403020100"
        ledger.shift(sending.id, at=T0, waiting=-100, sending=100)
    with transaction():
        control.stop(sending.id, by=people.supervisor, at=T0)
    with pytest.raises(Conflict, match="still on their way"), transaction():
        copies.to_the_rest(sending.id, outcomes=copies.REST, by=people.marketer, at=T0)


def test_a_second_draft_to_the_rest_does_not_change_whom_the_first_one_goes_to(sending, people):
    with transaction():
        control.stop(sending.id, by=people.supervisor, at=T0)
    with transaction():
        unsure = db.session.query(Message).order_by(Message.seq).limit(3)
        for message in unsure:
            message.status = Outcome.UNCONFIRMED
        ledger.shift(sending.id, at=T0, cancelled=-3, unconfirmed=3)
    lists = []
    for outcomes in (copies.REST, copies.REST, copies.FAILED):
        with transaction():
            made = copies.to_the_rest(sending.id, outcomes=outcomes, by=people.marketer, at=T0)
            lists.append(made.targets[0].list_id)
    sizes = [db.session.query(ListMember).filter_by(list_id=one).count() for one in lists]
    assert sizes == [247, 247, 250]


def test_a_copy_has_the_same_content_and_audience_and_is_a_draft(ready, people):
    with transaction():
        made = copies.copy(ready.id, by=people.marketer, at=T0)
    assert (made.state, made.html, made.preparation_id) == ("draft", ready.html, None)
    assert [target.list_id for target in made.targets] == [target.list_id for target in ready.targets]


def test_a_deleted_draft_takes_what_was_prepared_with_it(ready, people):
    number = ready.id
    with transaction():
        assert copies.delete_draft(number, by=people.marketer) == "Winter Gear Guide"
    assert db.session.query(Message).filter_by(delivery_id=number).count() == 0


def test_what_has_been_sent_is_never_deleted(sending, people):
    with pytest.raises(Conflict), transaction():
        copies.delete_draft(sending.id, by=people.marketer)
