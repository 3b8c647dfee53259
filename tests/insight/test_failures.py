import pytest

from webapp.insight.clients import client_of
from webapp.insight.failures import REASONS, reason_of


@pytest.mark.parametrize(
    ("code", "detail", "reason"),
    [
        (550, "5.1.1 User unknown", "no_mailbox"),
        (550, "No such user here", "no_mailbox"),
        (552, "5.2.2 Mailbox is full", "full"),
        (552, "Mailbox full", "full"),
        (550, "5.7.1 Message blocked by content filter", "policy"),
        (550, "5.1.2 Bad destination system", "no_domain"),
        (552, "5.3.4 Message too big", "content"),
        (451, "4.4.1 Connection timed out", "no_answer"),
        (None, "Connection lost", "no_answer"),
        (None, None, "no_answer"),
        (451, "Come back another day", "later"),
        (450, "4.7.1 Try again in a moment (greylisted)", "later"),
        (550, "5.7.1 Greylisted for too long", "policy"),
        (554, "Transaction failed", "other"),
    ],
)
def test_an_answer_is_gathered_under_a_reason_people_understand(code, detail, reason):
    assert reason_of(code, detail) == reason
    assert reason in REASONS


@pytest.mark.parametrize(
    ("agent", "client"),
    [
        ("Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)", "gmail"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15", "iphone"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)", "apple_mail"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Thunderbird/128.0", "thunderbird"),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0", "edge"),
        ("something else", ""),
    ],
)
def test_a_mail_program_is_known_by_its_agent(agent, client):
    assert client_of(agent) == client
