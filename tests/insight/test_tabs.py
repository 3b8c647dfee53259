import csv
import io
from datetime import timedelta

import pytest

from tests.fixtures import T0
from webapp.accounts.models import AuditEntry
from webapp.db import db, transaction
from webapp.deliveries import ledger
from webapp.deliveries.models import Event, ExclusionCount, Move, PreparationLog
from webapp.tracking import ingest
from webapp.tracking.hits import Raw

TABS = ("statistics", "recipients", "links", "logs", "exclusions", "history")
LOGS = ("logs?log=preparation", "logs?log=sending", "logs?log=tracking")
FILES = ("statistics", "links", "logs", "history")
PERSONAL = ("recipients", "tracking", "exclusions")
SAFARI = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15"


@pytest.fixture
def told(make_sent):
    """A delivery of which every tab has something to tell, and a contact whose name is a formula."""
    delivery = make_sent(size=6)
    with transaction():
        db.session.execute(
            db.text("UPDATE message SET status = 3, code = 550, detail = '5.1.1 User unknown' WHERE seq = 1")
        )
        db.session.execute(db.text("UPDATE message SET status = 7, code = NULL WHERE seq IN (2, 3)"))
        ledger.shift(delivery.id, at=T0, sent=-3, failed=1, unconfirmed=2)
        db.session.execute(
            db.text(
                "UPDATE contact SET first_name = '=HYPERLINK(\"http://evil.example\")' WHERE email = 'p0@n.example'"
            )
        )
        db.session.add(
            ExclusionCount(preparation_id=delivery.preparation_id, cause="suppressed", position=0, recipients=1)
        )
        db.session.add(
            ExclusionCount(preparation_id=delivery.preparation_id, cause="duplicate", position=1, recipients=0)
        )
        db.session.execute(
            db.text(
                "INSERT INTO exclusion (delivery_id, contact_id, cause, email) VALUES (:id, 987654, 'suppressed', '+out@example.com')"
            ),
            {"id": delivery.id},
        )
        db.session.add(
            PreparationLog(
                preparation_id=delivery.preparation_id, at=T0, level="warning", stage="check", code="text_missing"
            )
        )
        db.session.add(
            Event(delivery_id=delivery.id, at=T0, level="info", code="started", params={"relay": "Built-in"})
        )
        db.session.add(
            Move(
                delivery_id=delivery.id,
                from_state="sending",
                to_state="paused",
                at=T0,
                user_name="Ingrid",
                reason="relay_unreachable",
            )
        )
        ingest.fold(
            [
                Raw("open", delivery.id, 0, None, T0 + timedelta(minutes=5), SAFARI, "192.0.2.1", "GET"),
                Raw("click", delivery.id, 0, 1, T0 + timedelta(minutes=6), SAFARI, "192.0.2.1", "GET"),
                Raw("open", delivery.id, 4, None, T0 + timedelta(minutes=6), "Mozilla/5.0", "192.0.2.1", "GET"),
            ]
        )
    return delivery


@pytest.mark.parametrize("tab", [*TABS, *LOGS])
def test_every_tab_can_be_read_by_who_may_view(as_role, told, tab):
    assert as_role("Manager").get(f"/deliveries/{told.id}/{tab}").status_code == 200


@pytest.mark.parametrize("state", ["draft", "ready"])
@pytest.mark.parametrize("tab", TABS)
def test_every_tab_opens_before_anything_was_sent(as_role, make_delivery, tab, state):
    delivery = make_delivery(state=state)
    assert as_role("Manager").get(f"/deliveries/{delivery.id}/{tab}").status_code == 200


@pytest.mark.parametrize("tab", [*TABS, "recipients.csv", "links.csv"])
def test_a_delivery_of_another_folder_does_not_exist(as_role, told, tab):
    limited = as_role("Marketer", limited_to_folders=True)
    assert limited.get(f"/deliveries/{told.id}/{tab}").status_code == 404


def rows(answer):
    assert answer.status_code == 200, answer.text
    assert answer.mimetype == "text/csv"
    return list(csv.reader(io.StringIO(answer.text.lstrip("\ufeff"))))


@pytest.mark.parametrize("name", FILES)
def test_figures_are_exported_for_who_may_view(as_role, told, name):
    assert len(rows(as_role("Manager").get(f"/deliveries/{told.id}/{name}.csv"))) > 1


@pytest.mark.parametrize("name", PERSONAL)
def test_what_names_people_is_exported_with_the_right_only_and_written_down(as_role, told, name):
    assert as_role("Manager").get(f"/deliveries/{told.id}/{name}.csv").status_code == 403
    assert len(rows(as_role("Marketer").get(f"/deliveries/{told.id}/{name}.csv"))) > 1
    entry = db.session.query(AuditEntry).filter_by(action="delivery-exported").one()
    assert (entry.object_id, entry.detail["what"]) == (told.id, name)


def test_an_export_carries_no_formula(as_role, told):
    client = as_role("Marketer")
    found = rows(client.get(f"/deliveries/{told.id}/recipients.csv"))
    assert len(found) == 7
    assert any(cell.startswith("'=HYPERLINK") for row in found for cell in row)
    assert rows(client.get(f"/deliveries/{told.id}/exclusions.csv"))[1][0] == "'+out@example.com"


@pytest.mark.parametrize(
    ("query", "expected"),
    [("", 6), ("outcome=failed", 1), ("outcome=unconfirmed", 2), ("outcome=opened", 1), ("outcome=clicked", 1),
     ("outcome=unsubscribed", 0), ("q=p1@", 1), ("q=%25", 0), ("outcome=nonsense", 6)],
)  # fmt: skip
def test_recipients_are_found_by_outcome_and_by_address(as_role, told, query, expected):
    found = rows(as_role("Marketer").get(f"/deliveries/{told.id}/recipients.csv?{query}"))
    assert len(found) - 1 == expected


def test_the_statistics_add_up(as_role, told):
    found = rows(as_role("Manager").get(f"/deliveries/{told.id}/statistics.csv"))
    assert [sum(int(row[column]) for row in found[1:]) for column in range(1, 6)] == [1, 1, 1, 0, 0]


def test_unconfirmed_messages_are_treated_as_sent_by_who_may_start(as_role, told):
    url = f"/deliveries/{told.id}/unconfirmed"
    assert as_role("Marketer").post(url, data={"what": "sent", "which": "all"}).status_code == 403
    supervisor = as_role("Delivery supervisor")
    supervisor.post(url, data={"what": "sent", "which": "ticked", "seq": ["2", "4", "x"]})
    found = ledger.read(told.id)
    assert (found.unconfirmed, found.sent) == (1, 4)
    answer = supervisor.post(url, data={"what": "sent", "which": "all"}, follow_redirects=True)
    assert "1 message counts as sent" in answer.text
    assert ledger.read(told.id).unconfirmed == 0
    assert db.session.query(AuditEntry).filter_by(action="delivery-settled").count() == 2


def test_a_log_is_filtered_by_level_and_kind(as_role, told):
    client = as_role("Marketer")
    assert len(rows(client.get(f"/deliveries/{told.id}/tracking.csv?verdict=proxy"))) == 2
    assert len(rows(client.get(f"/deliveries/{told.id}/tracking.csv?kind=click"))) == 2
    assert len(rows(client.get(f"/deliveries/{told.id}/logs.csv?log=preparation&level=error"))) == 1
    assert "Ingrid" in client.get(f"/deliveries/{told.id}/history").text
    assert "The relay cannot be reached" in client.get(f"/deliveries/{told.id}/history").text
