from datetime import timedelta

import pytest
from selectolax.lexbor import LexborHTMLParser
from sqlalchemy import func, select

from tests.fixtures import T0
from webapp.accounts.models import Folder
from webapp.db import db, transaction
from webapp.deliveries.edit import change
from webapp.deliveries.models import Delivery, Proof
from webapp.deliveries.proofs import latest_news
from webapp.deliveries.states import State
from webapp.mail.models import Relay

PAGES = ("setup", "audience", "content", "test", "preview")


@pytest.fixture
def relay(database):
    with transaction():
        found = Relay(name="Test", host="localhost", port=25, is_default=True, created_at=T0)
        db.session.add(found)
    return found


def setup_of(delivery, **changes):
    return {
        "label": delivery.label,
        "folder": "",
        "from_name": delivery.from_name,
        "from_address": delivery.from_address,
        "reply_to": "",
        "subject": delivery.subject,
        "preheader": delivery.preheader,
        "topic": delivery.topic_id or "",
        "relay": "",
        "tracking": "full",
        "language": "en",
        **changes,
    }


def fresh(delivery):
    db.session.refresh(delivery)
    return delivery


@pytest.mark.parametrize("state", sorted(State))
@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("role", ["Marketer", "Manager"])
def test_every_step_can_be_looked_at_in_every_state(as_role, make_delivery, page, state, role):
    delivery = make_delivery(state=state)
    answer = as_role(role).get(f"/deliveries/{delivery.id}/{page}")
    assert answer.status_code == 200
    assert "Winter Gear Guide" in answer.text


@pytest.mark.parametrize("page", [*PAGES, "preview/message"])
def test_a_delivery_of_another_folder_is_not_found(as_role, make_delivery, page):
    other = Folder(name="Not mine")
    with transaction():
        db.session.add(other)
    delivery = make_delivery(folder=other)
    assert as_role(limited_to_folders=True).get(f"/deliveries/{delivery.id}/{page}").status_code == 404


def test_a_new_delivery_begins_with_a_starter_and_opens_its_setup(as_role):
    client = as_role()
    assert client.get("/deliveries/new").status_code == 200
    answer = client.post("/deliveries/new", data={"label": "Spring", "folder": "", "start": "letter"})
    made = db.session.scalars(select(Delivery).where(Delivery.label == "Spring")).unique().one()
    assert answer.status_code == 303
    assert answer.location == f"/deliveries/{made.id}/setup"
    assert "Dear" in made.text


def test_a_new_delivery_without_a_name_is_asked_again(as_role):
    answer = as_role().post("/deliveries/new", data={"label": " ", "folder": "", "start": "letter"})
    assert answer.status_code == 422
    assert "Give the delivery a name." in answer.text


def test_starters_are_shown_in_a_sandbox(as_role):
    answer = as_role().get("/deliveries/starters/newsletter")
    assert answer.headers["Content-Security-Policy"].startswith("sandbox;")
    assert as_role("Manager").get("/deliveries/starters/nope").status_code == 404


def test_setup_is_saved_and_goes_on(as_role, make_delivery):
    delivery = make_delivery()
    answer = as_role().post(
        f"/deliveries/{delivery.id}/setup", data=setup_of(delivery, subject="Fresh snow", tracking="none", next="1")
    )
    assert (answer.status_code, answer.location) == (303, f"/deliveries/{delivery.id}/audience")
    assert (fresh(delivery).subject, delivery.tracking) == ("Fresh snow", "none")


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("from_address", "nobody", "This is not an e-mail address."),
        ("reply_to", "a@b@c", "This is not an e-mail address."),
        ("subject", "Hi {{ first_name", "not written in a way"),
        ("subject", "x" * 300, "longer than 255"),
        ("from_name", "A\x07B", "without control characters"),
        ("label", "", "Give the delivery a name."),
        ("tracking", "everything", "Not a valid choice"),
    ],
)
def test_a_wrong_value_is_told_beside_its_field_and_what_was_typed_stays(as_role, make_delivery, field, value, said):
    delivery = make_delivery()
    answer = as_role().post(
        f"/deliveries/{delivery.id}/setup", data=setup_of(delivery, notes="My notes", **{field: value})
    )
    assert answer.status_code == 422
    assert said in answer.text
    assert "My notes" in answer.text
    assert fresh(delivery).notes == ""


def test_setup_shows_what_is_chosen_so_that_saving_it_again_changes_nothing(as_role, make_delivery, relay):
    folder = Folder(name="Shown folder")
    with transaction():
        db.session.add(folder)
    delivery = make_delivery(folder=folder, relay_id=relay.id, state=State.READY, tracking="aggregate", language="nb")
    client = as_role()
    tree = LexborHTMLParser(client.get(f"/deliveries/{delivery.id}/setup").text)
    data = {field.attributes["name"]: field.attributes.get("value") or "" for field in tree.css("#setup-form input")}
    data |= {"notes": tree.css_first("#notes").text().strip(), "tracking": "aggregate"}
    for field in tree.css("#setup-form select"):
        data[field.attributes["name"]] = field.css_first("option[selected]").attributes["value"]
    assert (data["folder"], data["topic"], data["relay"]) == (str(folder.id), str(delivery.topic_id), str(relay.id))
    assert client.post(f"/deliveries/{delivery.id}/setup", data=data).status_code == 303
    assert fresh(delivery).state == State.READY


@pytest.mark.parametrize("step", ["setup", "content"])
def test_nobody_overwrites_unseen_what_a_colleague_saved(as_role, make_user, make_delivery, step):
    delivery, colleague = make_delivery(), make_user("Delivery supervisor", name="Ingrid")
    client = as_role()
    seen = LexborHTMLParser(client.get(f"/deliveries/{delivery.id}/{step}").text).css_first("#seen").attributes["value"]
    with transaction():
        change(delivery.id, {"preheader": "Theirs"}, by=colleague, at=T0 + timedelta(minutes=5))
    data = {**setup_of(delivery, preheader="Mine"), "html": "<p>Mine</p>", "text": "Mine"}
    answer = client.post(f"/deliveries/{delivery.id}/{step}", data={**data, "seen": seen})
    assert answer.status_code == 422
    assert "Ingrid saved changes here meanwhile" in answer.text
    assert "Mine" in answer.text
    again = LexborHTMLParser(answer.text).css_first("#seen").attributes["value"]
    assert client.post(f"/deliveries/{delivery.id}/{step}", data={**data, "seen": again}).status_code == 303


def test_a_line_break_cannot_come_into_a_header(as_role, make_delivery):
    delivery = make_delivery()
    data = setup_of(delivery, subject="Hi\r\nBcc: x@example.com")
    assert as_role().post(f"/deliveries/{delivery.id}/setup", data=data).status_code == 422


def test_saving_content_of_a_prepared_delivery_takes_it_back_to_draft(as_role, make_delivery):
    delivery = make_delivery(state=State.READY)
    client = as_role()
    assert "If you change it" in client.get(f"/deliveries/{delivery.id}/content").text
    answer = client.post(
        f"/deliveries/{delivery.id}/content", data={"html": "<p>x</p>", "text": "x"}, follow_redirects=True
    )
    assert "prepare it again" in answer.text
    assert fresh(delivery).state == State.DRAFT


@pytest.mark.parametrize("state", [State.PREPARING, State.SCHEDULED, State.SENDING, State.FINISHED])
def test_content_under_way_is_refused_in_words(as_role, make_delivery, state):
    delivery = make_delivery(state=state)
    answer = as_role().post(f"/deliveries/{delivery.id}/content", data={"html": "<p>My words</p>", "text": "x"})
    assert answer.status_code == 409
    assert "My words" in answer.text
    assert "This is not possible now" in answer.text


def test_name_and_notes_change_while_it_is_sending(as_role, make_delivery):
    delivery = make_delivery(state=State.SENDING)
    data = {"label": "Renamed", "notes": "n", "folder": "", "subject": "Not this"}  # what is disabled is not sent
    assert as_role().post(f"/deliveries/{delivery.id}/setup", data=data).status_code == 303
    assert (fresh(delivery).label, delivery.notes, delivery.state) == ("Renamed", "n", State.SENDING)
    assert delivery.subject != "Not this"


def test_a_broken_merge_field_is_saved_and_told_with_its_line(as_role, make_delivery):
    delivery = make_delivery()
    html = delivery.html + "\n\n{% if x %}"
    answer = as_role().post(
        f"/deliveries/{delivery.id}/content", data={"html": html, "text": delivery.text}, follow_redirects=True
    )
    assert "Line 3." in answer.text
    assert fresh(delivery).html == html


def test_text_is_made_from_html_on_demand(as_role, make_delivery):
    delivery = make_delivery(text="old")
    data = {"html": delivery.html, "text": "old", "make-text": "1"}
    assert as_role().post(f"/deliveries/{delivery.id}/content", data=data).status_code == 303
    assert "Unsubscribe ({{ unsubscribe_url }})" in fresh(delivery).text


def test_what_is_typed_is_checked_and_shown_without_being_saved(as_role, make_delivery):
    delivery = make_delivery()
    client = as_role()
    data = {"html": "<p>Typed {{ first_name }} {{ nickname }}</p>", "text": "x"}
    answer = client.post(f"/deliveries/{delivery.id}/content/look", data=data)
    assert answer.status_code == 200
    assert answer.text.lstrip().startswith('<aside class="stack" id="look"')
    assert "Unknown merge fields: nickname" in answer.text
    contact = delivery.targets[0].contact_list.id
    assert contact
    shown = client.get(f"/deliveries/{delivery.id}/preview/message?typed=1")
    assert "Typed Ingrid" in shown.text
    assert "Typed" not in client.get(f"/deliveries/{delivery.id}/preview/message").text
    assert "Typed" not in fresh(delivery).html


def test_the_message_is_shown_as_any_contact_in_a_sandbox(as_role, make_delivery):
    delivery = make_delivery()
    client = as_role("Manager")
    page = client.get(f"/deliveries/{delivery.id}/preview?find=p3").text
    assert ">P3<" in page
    chosen = page.split("selected")[0].rsplit('value="', 1)[1].split('"')[0]
    answer = client.get(f"/deliveries/{delivery.id}/preview/message?as={chosen}")
    assert "Hello P3" in answer.text
    assert answer.headers["Content-Security-Policy"].startswith("sandbox;")
    assert "script" not in answer.headers["Content-Security-Policy"]


def test_the_plain_text_is_shown_as_text(as_role, make_delivery):
    delivery = make_delivery(text="<b>Hello</b> {{ first_name }}")
    shown = as_role().get(f"/deliveries/{delivery.id}/preview/message?text=1").text
    assert "&lt;b&gt;Hello&lt;/b&gt; Ingrid" in shown


def test_what_cannot_be_shown_says_why(as_role, make_delivery):
    delivery = make_delivery(html="<p>{{ x <b></p>")
    shown = as_role().get(f"/deliveries/{delivery.id}/preview/message").text
    assert "The message cannot be shown." in shown


def test_scripts_in_content_never_reach_the_frame(as_role, make_delivery):
    delivery = make_delivery(html="<p>a</p><script>alert(1)</script>")
    assert "<script" not in as_role().get(f"/deliveries/{delivery.id}/preview/message").text


def test_a_list_is_added_and_removed(as_role, make_delivery, make_audience):
    delivery, more = make_delivery(), make_audience(2, name="Extra")
    client = as_role()
    url = f"/deliveries/{delivery.id}/audience"
    assert client.post(url, data={"act": "include", "list": f"list-{more.id}"}).status_code == 303
    assert "12" in client.get(url).text
    assert client.post(url, data={"act": f"remove:list-{more.id}"}).status_code == 303
    assert len(fresh(delivery).targets) == 1
    assert client.post(url, data={"act": "explode:1"}).status_code == 303


def test_proofs_are_asked_for_and_listed(as_role, make_delivery, relay):
    delivery = make_delivery()
    client = as_role()
    data = {"addresses": "a@example.com, b@example.com\na@example.com", "contact": ""}
    answer = client.post(f"/deliveries/{delivery.id}/test", data=data)
    assert answer.status_code == 303
    made = db.session.scalars(select(Proof).where(Proof.delivery_id == delivery.id).order_by(Proof.id)).all()
    assert [proof.address for proof in made] == ["a@example.com", "b@example.com"]
    assert "b@example.com" in client.get(f"/deliveries/{delivery.id}/test").text


@pytest.mark.parametrize(
    "addresses", ["", "nobody", "a@example.com b", " ".join(f"a{n}@example.com" for n in range(11))]
)
def test_wrong_proof_addresses_are_told(as_role, make_delivery, relay, addresses):
    delivery = make_delivery()
    answer = as_role().post(f"/deliveries/{delivery.id}/test", data={"addresses": addresses, "contact": ""})
    assert answer.status_code == 422
    assert 'aria-invalid="true"' in answer.text


def test_a_proof_of_what_cannot_be_read_is_refused(as_role, make_delivery, relay):
    delivery = make_delivery(text="{{ x")
    data = {"addresses": "a@example.com", "contact": ""}
    answer = as_role().post(f"/deliveries/{delivery.id}/test", data=data)
    assert answer.status_code == 422
    assert "Mend the content first" in answer.text


def test_news_of_proofs_differ_when_something_has_become_of_one(as_role, make_delivery, relay):
    delivery = make_delivery()
    before = latest_news(delivery.id)
    as_role().post(f"/deliveries/{delivery.id}/test", data={"addresses": "a@example.com", "contact": ""})
    asked = latest_news(delivery.id)
    with transaction():
        db.session.scalars(select(Proof)).one().finished_at = T0
    assert len({before, asked, latest_news(delivery.id)}) == 3


def test_the_chosen_contact_stays_after_saving(as_role, make_delivery):
    delivery = make_delivery()
    data = {"html": delivery.html, "text": delivery.text, "as": "5", "find": "ann"}
    answer = as_role().post(f"/deliveries/{delivery.id}/content", data=data)
    assert answer.location == f"/deliveries/{delivery.id}/content?as=5&find=ann"


def test_a_contact_can_be_found_for_a_proof(as_role, make_delivery, relay):
    delivery = make_delivery()
    data = {"addresses": "a@example.com", "contact": "", "find": "p7", "search": "1"}
    answer = as_role().post(f"/deliveries/{delivery.id}/test", data=data)
    assert ">P7<" in answer.text
    assert db.session.scalar(select(func.count()).select_from(Proof)) == 0


@pytest.mark.parametrize("path", ["setup", "audience", "content", "content/look", "test"])
@pytest.mark.parametrize("role", ["Manager", "Reviewer"])
def test_without_the_right_to_prepare_nothing_is_changed(as_role, make_delivery, path, role):
    delivery = make_delivery()
    assert as_role(role).post(f"/deliveries/{delivery.id}/{path}", data={}).status_code == 403
