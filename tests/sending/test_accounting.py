"""Claiming and recording as such: what is written, what is left out at the last moment, and what is not written twice."""

import pytest
from sqlalchemy import select, text

from tests.fixtures import T0
from tests.sending.orders import check_balance, make_order, statuses
from webapp import ids
from webapp.audience import erasure, quarantine
from webapp.audience.models import Contact, Quarantine, Suppression
from webapp.db import db, transaction
from webapp.deliveries import preparation_freeze
from webapp.deliveries.states import Outcome
from webapp.mail.replies import Kind
from webapp.sending import claims, outcomes
from webapp.sending.claims import Piece
from webapp.sending.outcomes import Batch, Result


def take(order, limit=10, **bounds):
    with transaction():
        return claims.claim(order, token=ids.new_token(), worker="test", limit=limit, at=T0, **bounds)


def write(order, claim, results, *, token=None):
    done = {result.seq for result in results}
    remaining = [Piece(piece.chunk_id, piece.retrying, piece.seqs - done) for piece in claim.pieces]
    with transaction():
        return outcomes.record(order, Batch(results, remaining), token=token or claim.token, at=T0)


def sent(row, **changed):
    return Result(row.seq, row.chunk_id, Outcome.SENT, row.attempts, 250)._replace(**changed)


def rows(order):
    query = text(f"SELECT seq, status, attempts, code, detail FROM message_{order.preparation_id} ORDER BY seq")
    return [tuple(row) for row in db.session.execute(query)]


def test_messages_are_claimed_in_order_each_with_its_own_values(database):
    claim = take(make_order(25, chunk=10))
    assert [row.seq for row in claim.rows] == list(range(25))
    assert [row.values["first_name"] for row in claim.rows] == [f"P{seq}" for seq in range(25)]
    assert {row.chunk_id: row.seq // 10 for row in claim.rows} == {
        piece.chunk_id: min(piece.seqs) // 10 for piece in claim.pieces
    }


def test_towards_the_end_claims_get_smaller_so_that_all_who_share_a_delivery_have_something_to_do(database):
    order, sizes = make_order(800, chunk=50), []
    while (claim := take(order, spread=100)) is not None:
        sizes.append(len(claim.rows))
    assert sizes == [400, 200, 100, 50, 50]  # one chunk for each hundred that wait, but at least one


def test_what_is_accepted_is_written_in_one_go_and_the_rest_one_by_one(database):
    order = make_order(12, chunk=6)
    claim = take(order)
    results = [sent(row) for row in claim.rows]
    results[3] = results[3]._replace(outcome=Outcome.FAILED, code=550, detail="5.1.1 no such user", kind=Kind.HARD)
    results[4] = results[4]._replace(detail="2.0.0 with a word")
    assert write(order, claim, results) == 12
    written = rows(order)
    assert written[0] == (0, int(Outcome.SENT), 1, 250, None)
    assert written[3] == (3, int(Outcome.FAILED), 1, 550, "5.1.1 no such user")
    assert written[4] == (4, int(Outcome.SENT), 1, 250, "2.0.0 with a word")
    assert check_balance(order).sent == 11


def test_a_batch_that_is_written_again_changes_nothing(database):
    order = make_order(12, chunk=6)
    claim = take(order)
    results = [sent(row) for row in claim.rows if row.seq < 9]
    assert write(order, claim, results) == 9
    # The chunk that is not done is still held: its messages tell by their attempts that they are done.
    assert write(order, claim, [sent(row) for row in claim.rows if row.seq >= 6]) == 3
    assert check_balance(order).sent == 12
    assert all(attempts == 1 for _seq, _status, attempts, _code, _detail in rows(order))


def test_an_answer_that_comes_after_a_person_was_erased_does_not_name_them_again(database, make_user):
    order = make_order(4, chunk=6)
    claim, user = take(order), make_user("Marketer", email="eraser@example.org")
    for row in claim.rows[:3]:
        with transaction():
            person = db.session.scalars(select(Contact).where(Contact.email == row.email)).one()
            erasure.erase(person, by=user, at=T0)
    outcome = {0: Outcome.FAILED, 1: Outcome.FAILED, 2: Outcome.RETRYING, 3: Outcome.FAILED}
    kinds = {0: Kind.HARD, 1: Kind.SOFT, 2: Kind.SOFT, 3: Kind.SOFT}
    write(
        order,
        claim,
        [
            sent(row, outcome=outcome[row.seq], code=450, detail=f"<{row.email}> no", kind=kinds[row.seq])
            for row in claim.rows
        ],
    )
    assert [detail for *_others, detail in rows(order)] == [None, None, None, "<p3@example.com> no"]
    assert {one.cause for one in db.session.scalars(select(Suppression))} == {"erased"}
    assert db.session.scalars(select(Quarantine.email_norm)).all() == ["p3@example.com"]
    check_balance(order)


def test_nobody_writes_with_a_token_that_is_not_that_of_the_claim(database):
    order = make_order(5)
    claim = take(order)
    assert write(order, claim, [sent(row) for row in claim.rows], token=ids.new_token()) == 0
    assert statuses(order) == {"waiting": 5}
    assert check_balance(order).sending == 5


@pytest.mark.parametrize("case", ["erased", "suppressed", "written otherwise", "beyond ASCII"])
def test_what_comes_up_after_the_preparation_wins(database, case):
    order = make_order(10, chunk=10)
    with transaction():
        person = db.session.query(Contact).filter_by(email="p4@example.com").one()
        if case == "erased":
            db.session.delete(person)
        else:
            address = {"written otherwise": "P4@Example.com", "beyond ASCII": "p4@bücher.example"}.get(
                case, person.email
            )
            key = {"beyond ASCII": "p4@xn--bcher-kva.example"}.get(case, person.email)
            person.email_norm = key
            db.session.add(Suppression(email_norm=key, cause="manual", source="test", created_at=T0))
            db.session.execute(
                text(f"UPDATE message_{order.preparation_id} SET email = :address WHERE seq = 4"), {"address": address}
            )
    claim = take(order)
    assert [row.seq for row in claim.rows] == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    assert claim.excluded_late == 1
    assert rows(order)[4][4] == ("erased" if case == "erased" else "manual")
    assert check_balance(order).excluded_late == 1


@pytest.mark.parametrize(("before", "after"), [("complaint", "complaint"), ("manual", "manual"), (None, "hard_bounce")])
def test_a_hard_bounce_does_not_weaken_what_is_known_of_an_address(database, before, after):
    order = make_order(1)
    claim = take(order)
    with transaction():
        if before:
            db.session.add(Suppression(email_norm="p0@example.com", cause=before, source="test", created_at=T0))
    write(order, claim, [sent(claim.rows[0], outcome=Outcome.FAILED, code=550, kind=Kind.HARD)])
    assert db.session.query(Suppression).one().cause == after


def test_small_deliveries_are_shared_in_small_chunks_and_large_ones_in_large():
    assert preparation_freeze.chunk_size(50) == 100
    assert preparation_freeze.chunk_size(1_000_000) == 500


def test_an_address_that_stays_out_of_reach_is_counted_until_a_message_arrives(database):
    order = make_order(3)
    claim = take(order)
    full = {"outcome": Outcome.FAILED, "code": 452, "detail": "4.2.2 mailbox full", "kind": Kind.SOFT}
    refused = {"outcome": Outcome.FAILED, "code": 550, "detail": "5.7.1 policy", "kind": Kind.POLICY}
    results = [sent(row, **change) for row, change in zip(claim.rows, (full, refused, {}), strict=True)]
    with transaction():
        quarantine.failed({"p2@example.com": "4.2.2 mailbox full"}, at=T0)
    write(order, claim, results)
    counted = quarantine.of_address("p0@example.com")
    assert (counted.failures, counted.detail) == (1, "4.2.2 mailbox full")
    assert quarantine.of_address("p1@example.com") is None
    assert quarantine.of_address("p2@example.com") is None
