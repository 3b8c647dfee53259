"""As much of an IMAP server as reading a folder takes: it says what it is told to say."""

import base64
import contextlib
import re
import ssl
from collections.abc import Callable

from tests.mail.servers import Conversation, ScriptedServer

USER, PASSWORD = "returned@example.org", "a secret — word"


class Folder:
    """One folder, INBOX; `script` is what a ScriptedServer serves it by."""

    def __init__(
        self, *, tls: ssl.SSLContext | None = None, implicit: bool = True, able: str = "AUTH=PLAIN UIDPLUS"
    ) -> None:
        self.mails: dict[int, bytes] = {}
        self.flags: dict[int, set[str]] = {}
        self.validity = 7
        self.able = able
        self.tls = tls
        self.implicit = implicit
        self.fetched: list[int] = []
        self.before_fetch: Callable[[int], None] = lambda _uid: None

    def add(self, source: bytes, uid: int | None = None) -> int:
        number = uid or max(self.mails, default=0) + 1
        self.mails[number], self.flags[number] = source, set()
        return number

    def serve(self) -> ScriptedServer:
        return ScriptedServer(self.script)

    def script(self, conversation: Conversation) -> None:
        try:
            self._converse(conversation)
        finally:  # it may have become another one, encrypted
            conversation.file.close()
            conversation.socket.close()

    def _converse(self, conversation: Conversation) -> None:
        if self.tls and self.implicit:
            self._secure(conversation)
        conversation.say("* OK ready")
        while True:
            tag, _, rest = conversation.line().partition(" ")
            verb, _, words = rest.partition(" ")
            if verb == "UID":
                verb, _, words = words.partition(" ")
            answer = getattr(self, f"_{verb.lower()}")(conversation, words)
            conversation.say(f"{tag} {answer or 'OK done'}")
            if verb == "STARTTLS":
                self._secure(conversation)
            if verb == "LOGOUT":
                return

    def _secure(self, conversation: Conversation) -> None:
        assert self.tls is not None
        with contextlib.suppress(ssl.SSLError):
            conversation.socket = self.tls.wrap_socket(conversation.socket, server_side=True)
            conversation.file = conversation.socket.makefile("rb")
            return
        raise EOFError

    def _capability(self, conversation: Conversation, _words: str) -> None:
        starttls = " STARTTLS" if self.tls and not self.implicit else ""
        conversation.say(f"* CAPABILITY IMAP4rev1 {self.able}{starttls}")

    def _starttls(self, _conversation: Conversation, _words: str) -> str:
        return "OK begin" if self.tls else "BAD unknown"

    def _authenticate(self, conversation: Conversation, _words: str) -> str:
        conversation.say("+ ")
        given = base64.b64decode(conversation.line()).decode()
        return "OK in" if given == f"\0{USER}\0{PASSWORD}" else "NO [AUTHENTICATIONFAILED] Wrong password"

    def _login(self, _conversation: Conversation, words: str) -> str:
        return "OK in" if words == f'{USER} "plain \\"word\\""' else "NO wrong"

    def _status(self, conversation: Conversation, words: str) -> str | None:
        if not words.startswith('"INBOX"'):
            return "NO Mailbox does not exist"
        following = max(self.mails, default=0) + 1
        conversation.say(f'* STATUS "INBOX" (UIDNEXT {following} UIDVALIDITY {self.validity})')
        return None

    def _select(self, conversation: Conversation, _words: str) -> None:
        conversation.say(f"* {len(self.mails)} EXISTS")

    def _search(self, conversation: Conversation, words: str) -> None:
        first, last = (int(number) for number in words.removeprefix("UID ").split(":"))
        found = " ".join(str(uid) for uid in sorted(self.mails) if first <= uid <= last)
        conversation.say(f"* SEARCH {found}".rstrip())

    def _fetch(self, conversation: Conversation, words: str) -> None:
        uid = int(words.partition(" ")[0])
        self.before_fetch(uid)
        self.fetched.append(uid)
        length = re.search(r"BODY\.PEEK\[\]<0\.(\d+)>", words)
        assert length
        if uid in self.mails:
            part = self.mails[uid][: int(length[1])]
            conversation.socket.sendall(b"* 1 FETCH (UID %d BODY[]<0> {%d}\r\n%b)\r\n" % (uid, len(part), part))

    def _store(self, _conversation: Conversation, words: str) -> None:
        uid, _, flag = words.split(" ")
        self.flags[int(uid)].add(flag.strip("()"))

    def _expunge(self, _conversation: Conversation, words: str) -> None:
        for uid in map(int, words.split(",")):
            if r"\Deleted" in self.flags[uid]:
                del self.mails[uid]

    def _logout(self, conversation: Conversation, _words: str) -> None:
        conversation.say("* BYE")
