import pytest

from tests.fixtures import T0
from tests.mail.desks import good
from tests.mail.servers import ScriptedServer
from tests.sending.orders import check_balance, make_order, statuses
from webapp.db import db, transaction
from webapp.deliveries.models import Delivery
from webapp.errors import Conflict, NotAllowed
from webapp.sending import unconfirmed, work
from webapp.sending.run import Run, Terms


def go(order, folder):
    with transaction():
        job = work.load(order.delivery_id, at=T0)
    ending = Run(job, Terms(clock=lambda: T0, journal=folder, worker="test")).go()
    with transaction():
        work.finish(order.delivery_id, at=T0)
    return ending


@pytest.fixture
def doubtful(database, tmp_path):
    """Yield (order, server) after a delivery of which two messages are unconfirmed."""
    lost = {b"p3@example.com", b"p8@example.com"}
    seen = []

    def replies(stage, content):
        if stage != "content":
            return ""
        seen.append(next(line for line in content.split(b"\r\n") if line.startswith(b"Message-ID")))
        found = [name for name in lost if b"To: P" in content and name in content]
        if found:
            lost.discard(found[0])
            return None
        return ""

    with ScriptedServer(good("PIPELINING", replies=replies)) as server:
        order = make_order(12, port=server.port)
        go(order, tmp_path)
        assert statuses(order) == {"sent": 10, "unconfirmed": 2}
        yield order, seen


def test_they_are_listed(doubtful):
    order, _ = doubtful
    assert [message.seq for message in unconfirmed.listed(order.delivery_id)] == [3, 8]


def test_treated_as_sent_they_count_as_sent(doubtful, make_user):
    order, _ = doubtful
    supervisor = make_supervisor(make_user)
    with transaction():
        assert unconfirmed.treat_as_sent(order.delivery_id, seqs=[3, 4], by=supervisor, at=T0) == 1
    assert statuses(order) == {"sent": 11, "unconfirmed": 1}
    check_balance(order)


def test_sent_again_they_have_the_same_message_id(doubtful, make_user, tmp_path):
    order, seen = doubtful
    assert db.session.get(Delivery, order.delivery_id).state == "finished"
    supervisor = make_supervisor(make_user)
    with transaction():
        assert unconfirmed.send_again(order.delivery_id, seqs=[3, 8], by=supervisor, at=T0) == 2
    check_balance(order)
    assert go(order, tmp_path) == "dry"
    assert statuses(order) == {"sent": 12}
    check_balance(order)
    assert len(seen) == 14
    assert len(set(seen)) == 12


def test_a_stopped_delivery_sends_nothing_again(doubtful, make_user):
    order, _ = doubtful
    supervisor = make_supervisor(make_user)
    with transaction():
        db.session.connection().exec_driver_sql("UPDATE delivery SET state = 'stopped'")
    db.session.expire_all()
    with transaction(), pytest.raises(Conflict):
        unconfirmed.send_again(order.delivery_id, seqs=[3], by=supervisor, at=T0)


def test_it_takes_the_right_to_start(doubtful, make_user):
    order, _ = doubtful
    marketer = make_user("Marketer")
    with transaction(), pytest.raises(NotAllowed):
        unconfirmed.treat_as_sent(order.delivery_id, seqs=[3], by=marketer, at=T0)


def make_supervisor(make_user):
    return make_user("Delivery supervisor")
