import pytest
from sqlalchemy import select, text

from tests.fixtures import T0
from webapp.accounts.models import Folder
from webapp.audience import attribute_names
from webapp.db import db, transaction
from webapp.deliveries.access import get_delivery
from webapp.deliveries.edit import change, change_audience, create, may_edit
from webapp.deliveries.facts import facts_of
from webapp.deliveries.models import Delivery, Move
from webapp.deliveries.states import EDITABLE, State
from webapp.errors import Conflict, Invalid, NotAllowed, NotFound
from webapp.mail.models import Relay


@pytest.fixture
def marketer(make_user):
    return make_user("Marketer")


@pytest.fixture
def relay(database):
    with transaction():
        found = Relay(name="Test", host="localhost", port=25, is_default=True, created_at=T0)
        db.session.add(found)
    return found


@pytest.mark.parametrize("state", sorted(EDITABLE))
def test_an_edit_leads_to_draft_and_says_why(make_delivery, marketer, state):
    delivery = make_delivery(state=state)
    with transaction():
        assert change(delivery.id, {"subject": "New"}, by=marketer, at=T0)
    assert delivery.state == State.DRAFT
    assert delivery.subject == "New"
    assert delivery.last_editor_id == marketer.id
    moves = db.session.scalars(select(Move).where(Move.delivery_id == delivery.id)).all()
    assert [move.reason for move in moves] == ([] if state == State.DRAFT else ["changed"])


@pytest.mark.parametrize("state", sorted(set(State) - EDITABLE))
def test_what_is_on_its_way_cannot_be_edited(make_delivery, marketer, state):
    delivery = make_delivery(state=state)
    with pytest.raises(Conflict), transaction():
        change(delivery.id, {"subject": "New"}, by=marketer, at=T0)
    assert delivery.subject != "New"


@pytest.mark.parametrize("state", sorted(State))
def test_label_and_notes_change_freely(make_delivery, marketer, state):
    delivery = make_delivery(state=state)
    with transaction():
        assert not change(
            delivery.id, {"label": "Other", "notes": "n", "subject": delivery.subject}, by=marketer, at=T0
        )
    assert (delivery.label, delivery.state) == ("Other", state)


def test_saving_what_is_there_already_changes_nothing(make_delivery, marketer):
    delivery = make_delivery(state=State.READY)
    with transaction():
        assert not change(delivery.id, {"subject": delivery.subject}, by=marketer, at=T0)
    assert delivery.state == State.READY


@pytest.mark.parametrize("role", ["Reviewer", "Manager"])
def test_without_the_right_nothing_is_edited(make_delivery, make_user, role):
    delivery, user = make_delivery(), make_user(role)
    with pytest.raises(NotAllowed), transaction():
        change(delivery.id, {"subject": "New"}, by=user, at=T0)
    assert not may_edit(delivery, by=user)


def test_a_delivery_in_another_folder_does_not_exist(make_delivery, make_user):
    mine, other = Folder(name="Mine of tests"), Folder(name="Other of tests")
    with transaction():
        db.session.add_all([mine, other])
    user = make_user("Marketer", limited_to_folders=True, folders=[mine])
    delivery = make_delivery(folder=other)
    with pytest.raises(NotFound):
        get_delivery(delivery.id, by=user)
    with pytest.raises(Invalid), transaction():
        create("x", start="blank", folder_id=other.id, by=user, at=T0)
    own = make_delivery(folder=mine, audience="Others")
    with pytest.raises(Invalid), transaction():
        change(own.id, {"folder_id": other.id}, by=user, at=T0)


def test_a_new_delivery_takes_over_what_was_used_last(make_delivery, marketer, relay):
    last = make_delivery(from_name="Fjellheim", reply_to="r@fjellheim.example")
    with transaction():
        new = create("Spring", start="newsletter", folder_id=None, by=marketer, at=T0)
    assert (new.from_name, new.reply_to, new.topic_id) == ("Fjellheim", "r@fjellheim.example", last.topic_id)
    assert new.state == State.DRAFT
    assert "unsubscribe_url" in new.html
    assert db.session.get(Delivery, new.id) is not None


def test_a_complete_draft_has_no_errors(make_delivery, relay):
    facts = facts_of(make_delivery(size=3))
    assert facts.errors == []
    assert facts.recipients == 3


def test_what_is_missing_is_found(make_delivery, database):
    delivery = make_delivery(subject="", topic_id=None)
    with transaction():
        delivery.targets = []
    assert {finding.code for finding in facts_of(delivery).errors} == {
        "subject_missing",
        "topic_missing",
        "relay_missing",
        "audience_missing",
    }


def test_attributes_of_the_contacts_are_known_fields(make_delivery, relay):
    delivery = make_delivery(size=2, text="{{ shoe }} {{ unsubscribe_url }}")
    assert [finding.code for finding in facts_of(delivery).errors] == ["fields_unknown"]
    with transaction():
        db.session.execute(text("UPDATE contact SET attributes = '{\"shoe\": 43}'"))
        attribute_names.keep(["shoe"])
    assert facts_of(delivery).errors == []


def test_lists_are_included_left_out_moved_and_removed(make_delivery, make_audience, marketer):
    delivery = make_delivery(size=4)
    first = delivery.targets[0].list_id
    second, third = make_audience(3, name="B-list"), make_audience(2, name="C-list")

    def act(action, audience):
        with transaction():
            change_audience(delivery.id, action, audience, by=marketer, at=T0)
        db.session.refresh(delivery)
        return [(target.list_id, target.excluded) for target in delivery.targets]

    assert act("include", second.id) == [(first, False), (second.id, False)]
    assert act("exclude", third.id) == [(first, False), (second.id, False), (third.id, True)]
    assert act("up", second.id) == [(second.id, False), (first, False), (third.id, True)]
    assert act("up", second.id)[0] == (second.id, False)
    assert facts_of(delivery).recipients == 7
    assert act("exclude", first) == [(second.id, False), (first, True), (third.id, True)]
    assert facts_of(delivery).recipients == 3
    assert act("remove", second.id) == [(first, True), (third.id, True)]


def test_the_audience_of_a_sending_delivery_stays(make_delivery, marketer):
    delivery = make_delivery(state=State.SENDING)
    with pytest.raises(Conflict), transaction():
        change_audience(delivery.id, "remove", delivery.targets[0].list_id, by=marketer, at=T0)
