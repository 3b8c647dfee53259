import base64
import ssl
import threading

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from tests.mail.certificates import make_certificate
from tests.mail.desks import BODY, QUICK, good, messages, run
from tests.mail.servers import ScriptedServer
from webapp.mail.session import Security, Session, Target
from webapp.mail.smtp import SmtpClient
from webapp.mail.wire import RelayError, Trouble


def test_no_relay_is_unreachable():
    with ScriptedServer(lambda _: None) as server:
        port = server.port
    with pytest.raises(RelayError) as caught:
        SmtpClient(Target("127.0.0.1", port, timeouts=QUICK)).open()
    assert caught.value.trouble is Trouble.UNREACHABLE


def test_what_came_before_tls_does_not_count():
    def script(conversation):
        conversation.greet("STARTTLS")
        conversation.line()
        conversation.socket.sendall(b"220 go\r\n250 injected\r\n")
        conversation.line()

    with ScriptedServer(script) as server, pytest.raises(RelayError) as caught:
        SmtpClient(Target("127.0.0.1", server.port, security=Security.STARTTLS, timeouts=QUICK)).open()
    assert caught.value.trouble is Trouble.PROTOCOL


def test_a_relay_without_starttls_gets_nothing_in_the_clear():
    with ScriptedServer(good("AUTH PLAIN")) as server, pytest.raises(RelayError) as caught:
        SmtpClient(
            Target("127.0.0.1", server.port, Security.STARTTLS, username="u", password="p", timeouts=QUICK)
        ).open()
    assert caught.value.trouble is Trouble.TLS


class Inbox:
    def __init__(self):
        self.received = []
        self.lock = threading.Lock()

    async def handle_DATA(self, _server, _session, envelope):  # noqa: N802 - aiosmtpd's name
        with self.lock:
            self.received.append((envelope.mail_from, envelope.rcpt_tos, envelope.content))
        return "250 2.0.0 queued"


@pytest.fixture(scope="module")
def contexts(tmp_path_factory):
    return make_certificate(tmp_path_factory.mktemp("tls"))


def authenticator(server, session, envelope, mechanism, auth_data):
    return AuthResult(handled=False, success=auth_data.login == b"ann" and auth_data.password == b"secret")


@pytest.mark.parametrize("security", Security)
def test_aiosmtpd_receives_over_every_kind_of_connection(contexts, security):
    server_context, client_context = contexts
    inbox = Inbox()
    settings = {
        "hostname": "127.0.0.1",
        "port": 0,
        "authenticator": authenticator,
        "auth_require_tls": security is not Security.NONE,
    }
    if security is Security.IMPLICIT:
        settings["ssl_context"] = server_context
        settings["auth_require_tls"] = False
    if security is Security.STARTTLS:
        settings["tls_context"] = server_context
        settings["require_starttls"] = True
    controller = FreePort(inbox, **settings)
    controller.start()
    try:
        target = {"security": security, "username": "ann", "password": "secret", "context": client_context}
        desk, client, error = run(controller.server.sockets[0].getsockname()[1], messages(5), **target)
    finally:
        controller.stop()
    assert error is None
    assert desk.fates == dict.fromkeys(range(5), (250, "content"))
    assert [content for _, _, content in inbox.received] == [BODY] * 5
    assert not any("secret" in line for line in client.log)


class FreePort(Controller):
    def _trigger_server(self):
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


def test_a_wrong_password_is_a_login_trouble():
    controller = FreePort(Inbox(), hostname="127.0.0.1", port=0, authenticator=authenticator, auth_require_tls=False)
    controller.start()
    try:
        client = SmtpClient(Target("127.0.0.1", controller.port, username="ann", password="wrong"))
        with pytest.raises(RelayError) as caught:
            client.open()
    finally:
        controller.stop()
    assert caught.value.trouble is Trouble.LOGIN
    assert caught.value.reply.code == 535


def test_a_certificate_nobody_vouches_for_is_refused(contexts):
    server_context, _ = contexts

    def script(conversation):
        server_context.wrap_socket(conversation.socket, server_side=True)

    with ScriptedServer(script) as server, pytest.raises(RelayError) as caught:
        SmtpClient(
            Target("127.0.0.1", server.port, Security.IMPLICIT, context=ssl.create_default_context(), timeouts=QUICK)
        ).open()
    assert caught.value.trouble is Trouble.CERTIFICATE


def test_a_relay_that_offers_only_login_is_signed_in_to_that_way():
    said = []

    def script(conversation):
        conversation.greet("AUTH LOGIN")
        for question in ("334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6", "235 2.7.0 welcome"):
            said.append(conversation.line())
            conversation.say(question)
        conversation.serve()

    with ScriptedServer(script) as server:
        session = Session(Target("127.0.0.1", server.port, username="ann", password="s3cret"))
        session.open()
        session.quit()
    assert said == ["AUTH LOGIN", base64.b64encode(b"ann").decode(), base64.b64encode(b"s3cret").decode()]
    assert not any("s3cret" in line or said[2] in line for line in session.log)
