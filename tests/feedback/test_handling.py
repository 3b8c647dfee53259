from datetime import timedelta

import pytest
from sqlalchemy import select

from tests.feedback import mails
from tests.fixtures import T0
from webapp.audience import contacts, erasure, quarantine
from webapp.audience.models import Contact, Quarantine, Subscription, Suppression
from webapp.db import db, transaction
from webapp.deliveries import ledger
from webapp.deliveries.models import Event, Message, Tick
from webapp.deliveries.states import Outcome
from webapp.feedback import handling, returns
from webapp.feedback.models import Feedback, ReadMail
from webapp.insight.recount import recount
from webapp.mail.tokens import Purpose, proof_number
from webapp.sending.troubles import too_many
from webapp.sending.work import signer
from webapp.tracking import ingest
from webapp.tracking.models import Reaction

FULL = {"diagnostic": "smtp; 452 4.2.2 mailbox full", "code": "4.2.2"}
BLOCKED = {"diagnostic": "smtp; 550 5.7.1 blocked by policy", "code": "5.7.1"}


def figures(delivery) -> tuple[int, int, int]:
    found = ledger.read(delivery.id)
    assert found.difference == 0
    return found.sent, found.bounced, found.complained


def suppressed() -> dict[str, str]:
    return {one.email_norm: one.cause for one in db.session.scalars(select(Suppression))}


def contact_of(delivery, seq: int) -> Contact:
    number = db.session.scalar(select(Message.contact_id).where(Message.delivery_id == delivery.id, Message.seq == seq))
    return db.session.get(Contact, number)


def set_status(delivery, outcome: Outcome) -> None:
    with transaction():
        db.session.execute(db.text("UPDATE message SET status = :status WHERE seq = 0"), {"status": int(outcome)})


def test_a_hard_bounce_is_counted_once_and_suppresses_the_address(make_sent, take):
    delivery = make_sent()
    number = mails.number(delivery.id, 3)
    assert take(mails.postfix(number))
    assert not take(mails.postfix(number))
    assert take(mails.gmail(number))  # told again, by another server
    assert figures(delivery) == (10, 1, 0)
    assert ledger.read(delivery.id).delivered == 9
    assert suppressed() == {contact_of(delivery, 3).email_norm: "hard_bounce"}
    kept = db.session.scalars(select(Feedback)).one()
    assert (kept.seq, kept.kind, kept.verdict, kept.code, kept.counted) == (3, "bounce", "hard", 550, True)
    assert db.session.query(Tick.bounced).filter(Tick.bounced > 0).all() == [(1,)]
    assert db.session.scalars(select(Event.code)).all() == ["came_back"]


def test_a_full_mailbox_is_a_failure_of_the_address_and_no_suppression(make_sent, take):
    delivery = make_sent()
    number = mails.number(delivery.id, 3)
    take(mails.postfix(number, **FULL))
    take(mails.postfix(number, **FULL, to="elsewhere@example.com"))
    assert figures(delivery) == (10, 1, 0)
    assert suppressed() == {}
    found = db.session.scalars(select(Quarantine)).one()
    assert (found.email_norm, found.failures, found.came_back) == (contact_of(delivery, 3).email_norm, 1, True)


def test_a_refusal_on_grounds_of_policy_is_never_held_against_the_address(make_sent, take):
    delivery = make_sent()
    take(mails.postfix(mails.number(delivery.id, 3), **BLOCKED))
    assert figures(delivery) == (10, 1, 0)
    assert (suppressed(), db.session.query(Quarantine).count()) == ({}, 0)


def test_that_an_address_does_not_exist_counts_also_when_something_milder_was_told_first(make_sent, take):
    delivery = make_sent()
    number = mails.number(delivery.id, 0)
    take(mails.postfix(number, **FULL))
    take(mails.postfix(number))
    take(mails.postfix(number, **BLOCKED))
    assert figures(delivery) == (10, 1, 0)
    assert list(suppressed().values()) == ["hard_bounce"]
    assert db.session.scalars(select(Feedback.verdict)).all() == ["hard"]


def test_a_complaint_unsubscribes_from_everything_for_good(make_sent, take):
    delivery = make_sent()
    number = mails.number(delivery.id, 2)
    assert take(mails.complaint(number))
    assert not take(mails.complaint(number))
    take(mails.complaint(number).replace(b"SomeGenerator", b"Another"))
    assert figures(delivery) == (10, 0, 1)
    who = contact_of(delivery, 2)
    assert suppressed() == {who.email_norm: "complaint"}
    answers = select(Subscription.subscribed).where(Subscription.contact_id == who.id)
    assert db.session.scalars(answers).all() == [False]
    assert ledger.read(delivery.id).unsubscribed == 0


def test_too_many_complaints_are_reason_to_pause(make_sent, take):
    delivery = make_sent(size=5)
    for seq in range(4):
        take(mails.complaint(mails.number(delivery.id, seq)))
    with transaction():
        ledger.open_account(delivery.id, targeted=1000, excluded=0, at=T0)
        ledger.shift(delivery.id, at=T0, waiting=-1000, sent=1000, complained=4)
    reason = too_many(delivery.id, bounces=100, complaints=3)
    assert reason is not None
    assert reason.params == {"percent": "0.40", "limit": "0.3"}


def test_bounces_that_come_back_later_are_reason_to_pause_too(make_sent):
    delivery = make_sent(size=5)
    with transaction():
        ledger.open_account(delivery.id, targeted=300, excluded=0, at=T0)
        ledger.shift(delivery.id, at=T0, waiting=-300, sent=270, failed=30, bounced=20)
    reason = too_many(delivery.id, bounces=15, complaints=100)
    assert reason is not None
    assert (reason.params["percent"], reason.params["failed"]) == (17, 50)


def test_a_mail_with_the_token_of_a_link_unsubscribes_from_the_topic(make_sent, take):
    delivery = make_sent()
    token = signer().sign(Purpose.UNSUBSCRIBE, delivery.id, 1)
    assert take(mails.leave(token))
    assert not take(mails.leave(token))
    with transaction():
        ingest.fold_inbox(limit=10)
    assert ledger.read(delivery.id).unsubscribed == 1
    who = contact_of(delivery, 1)
    answer = db.session.scalars(select(Subscription).where(Subscription.contact_id == who.id)).one()
    assert (answer.subscribed, answer.source) == (False, f"delivery {delivery.id}")
    assert suppressed() == {}
    assert [row[0] for row in db.session.query(Reaction.seq)] == [1]


@pytest.mark.parametrize("purpose", [Purpose.OPEN, Purpose.CLICK, Purpose.VIEW, Purpose.PREFERENCES])
def test_a_token_for_anything_else_unsubscribes_nobody(make_sent, take, purpose):
    delivery = make_sent()
    take(mails.leave(signer().sign(purpose, delivery.id, 1)))
    assert db.session.query(Subscription).filter(~Subscription.subscribed).count() == 0
    assert db.session.scalars(select(ReadMail.reason)).all() == ["token"]


def test_forged_tokens_change_nothing(make_sent, take):
    delivery = make_sent()
    forged = mails.number(delivery.id, 1)[:-2] + "00"
    link = signer().sign(Purpose.UNSUBSCRIBE, delivery.id, 1)
    take(mails.postfix(forged))
    take(mails.complaint(forged))
    take(mails.leave(("A" if link[0] != "A" else "B") + link[1:]))
    assert figures(delivery) == (10, 0, 0)
    assert suppressed() == {}
    assert db.session.query(Subscription).filter(~Subscription.subscribed).count() == 0
    assert db.session.scalars(select(ReadMail.reason)).all() == ["token", "token", "token"]


def test_of_several_tokens_the_first_of_ours_is_meant(make_sent, take):
    delivery = make_sent()
    foreign = "0a" * 21
    take(mails.postfix(mails.number(delivery.id, 4), to=f"bounce+{foreign}@fjellheim.example"))
    assert db.session.scalars(select(Feedback.seq)).all() == [4]


def test_proofs_and_forgotten_messages_are_named_and_not_counted(make_sent, take):
    delivery = make_sent()
    take(mails.postfix(mails.number(delivery.id, proof_number(7))))
    take(mails.postfix(mails.number(delivery.id, 999)))
    take(mails.leave(signer().sign(Purpose.UNSUBSCRIBE, delivery.id, proof_number(7))))
    assert db.session.scalars(select(ReadMail.reason).order_by(ReadMail.id)).all() == ["proof", "gone", "proof"]
    assert figures(delivery) == (10, 0, 0)


def test_a_bounce_that_is_faster_than_the_record_of_its_message_counts_later(make_sent, take):
    delivery = make_sent()
    set_status(delivery, Outcome.UNCONFIRMED)
    take(mails.postfix(mails.number(delivery.id, 0)))
    assert ledger.read(delivery.id).bounced == 0
    assert list(suppressed().values()) == ["hard_bounce"]
    assert returns.not_counted(at=T0) == []
    set_status(delivery, Outcome.SENT)
    assert returns.not_counted(at=T0) == [delivery.id]
    for _ in range(2):
        with transaction():
            returns.count(delivery.id)
    assert ledger.read(delivery.id).bounced == 1


def test_compute_stats_counts_bounces_and_complaints_again(make_sent, take):
    delivery = make_sent()
    take(mails.postfix(mails.number(delivery.id, 0)))
    take(mails.complaint(mails.number(delivery.id, 1)))
    right = ledger.read(delivery.id)
    with transaction():
        assert recount(delivery.id, at=T0) == []
        db.session.execute(db.text("UPDATE counter SET bounced = 7, complained = 0"))
        db.session.execute(db.text("UPDATE tick SET bounced = 0"))
    with transaction():
        found = {one.name: (one.was, one.now) for one in recount(delivery.id, at=T0)}
    assert found == {"bounced": (7, 1), "complained": (0, 1), "ticks": (1, 0)}
    assert ledger.read(delivery.id) == right


def test_who_was_erased_stays_erased(make_sent, take, make_user):
    delivery = make_sent()
    who = contact_of(delivery, 0)
    address, number = who.email_norm, mails.number(delivery.id, 0)
    take(mails.postfix(number, diagnostic=f"smtp; 452 4.2.2 <{address}> over quota", code="4.2.2"))
    somebody = make_user("Administrator")
    with transaction():
        erasure.erase(contacts.get(who.id), by=somebody, at=T0)
    before = suppressed()
    take(mails.postfix(number, diagnostic=f"smtp; 550 5.1.1 <{address}> unknown", code="5.1.1"))
    take(mails.complaint(number))
    take(mails.leave(signer().sign(Purpose.UNSUBSCRIBE, delivery.id, 0)))
    assert suppressed() == before
    assert figures(delivery) == (10, 1, 1)
    assert not [one for one in db.session.scalars(select(Feedback.detail)) if address in one]
    assert db.session.query(Quarantine).count() == 0


def test_mails_that_nothing_came_of_are_forgotten_some_day(make_sent, take):
    delivery = make_sent()
    take(mails.postfix(mails.number(delivery.id, 0)))
    take(b"From: ann@example.com\r\nSubject: Hello\r\n\r\nA question")
    for days, kept in ((89, ["bounce", "other"]), (91, ["bounce"])):
        with transaction():
            handling.tidy(at=T0 + timedelta(days=days))
        assert db.session.scalars(select(ReadMail.kind).order_by(ReadMail.id)).all() == kept


def test_an_address_whose_messages_come_back_is_not_forgiven_because_the_relay_takes_them(database):
    key, week = "full@x.example", timedelta(days=7)
    with transaction():
        for number in range(5):
            quarantine.arrived([key], at=T0 + number * week)
            caught = quarantine.failed({key: "452 full"}, at=T0 + number * week + timedelta(hours=1), came_back=True)
        assert caught == 1
        quarantine.arrived([key], at=T0 + 5 * week)
        assert quarantine.of_address(key) is not None
        quarantine.arrived([key], at=T0 + 6 * week)  # the last one did not come back
        db.session.expire_all()
        assert quarantine.of_address(key) is None
