"""SMTP servers to test against: one that follows a script to the letter, whatever it says."""

import contextlib
import socket
import threading


class ScriptedServer:
    """Answers each connection by a function `script(conversation)`; run in threads, closed at the end of the `with`."""

    def __init__(self, script):
        self.script = script
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.conversations = []
        self.threads = []

    def __enter__(self):
        self.threads.append(threading.Thread(target=self._accept, daemon=True))
        self.threads[0].start()
        return self

    def __exit__(self, *_):
        # close() alone does not wake an accept() on Linux
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for conversation in self.conversations:
            conversation.hang_up()
        for thread in self.threads:
            thread.join(5)

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self.listener.accept()
                conversation = Conversation(sock, len(self.conversations))
                self.conversations.append(conversation)
                thread = threading.Thread(target=self._serve, args=(conversation,), daemon=True)
                self.threads.append(thread)
                thread.start()

    def _serve(self, conversation):
        with conversation.socket, conversation.file, contextlib.suppress(OSError, EOFError, ValueError):
            self.script(conversation)
            conversation.hang_up()


class Conversation:
    def __init__(self, sock, number):
        self.socket = sock
        self.number = number
        self.file = sock.makefile("rb")
        self.messages = []
        self.commands = []
        self.writes = 0

    def say(self, text):
        self.socket.sendall(text.encode() + b"\r\n")

    def line(self):
        line = self.file.readline()
        if not line:
            raise EOFError
        self.commands.append(line.decode().rstrip("\r\n"))
        return self.commands[-1]

    def content(self):
        lines = []
        while (line := self.file.readline()) != b".\r\n":
            if not line:
                raise EOFError
            lines.append(line.removeprefix(b"."))
        self.messages.append(b"".join(lines))

    def hang_up(self):
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)

    def greet(self, *extensions):
        self.say("220 ready")
        self.line()
        self.say("250-scripted.example")
        for name in extensions:
            self.say(f"250-{name}")
        self.say("250 OK")

    def serve(self, replies=None):
        """Serve as a good relay does, except where `replies(stage, argument)` says otherwise; None there closes."""
        replies = replies or (lambda _stage, _argument: "")
        while True:
            line = self.line()
            verb = line[:4].upper()
            stage = {"MAIL": "mail", "RCPT": "rcpt", "DATA": "data"}.get(verb, verb)
            answer = replies(stage, line)
            if answer is None:
                return
            if verb == "QUIT":
                self.say("221 bye")
                return
            self.say(answer or ("354 go on" if stage == "data" else "250 2.1.0 fine"))
            if stage == "data" and (answer or "354").startswith("354"):
                self.content()
                answer = replies("content", self.messages[-1])
                if answer is None:
                    return
                self.say(answer or "250 2.0.0 queued")
