"""A relay that remembers everything it took, and misbehaves when it is told to."""

import asyncio
import contextlib
import re
import socket
import struct
import threading
from collections import Counter, defaultdict, deque

#: Where a conversation can be broken (the last two on a new connection); at `dot` the message is not taken, at `taken` it is.
POSITIONS = ("mail", "rcpt", "data", "content", "dot", "taken", "answered", "connect", "ehlo")
_MESSAGE_ID = re.compile(rb"^message-id:\s*(\S+)", re.IGNORECASE | re.MULTILINE)
_BUSY = "421 4.3.2 too busy"
_RESET = struct.pack("ii", 1, 0)


class Relay:
    """Runs in a thread. `taken` counts messages by recipient, `names` has the Message-IDs each of them got."""

    def __init__(self, secured=None):
        """`secured` is the TLS context of a second port, that speaks TLS from its first byte."""
        self.taken = Counter()
        self.names = defaultdict(set)
        self.domains = Counter()  # messages by the domain of their recipients
        self.count = 0
        self.seconds = 0.0  # that each message takes
        self.storm = False  # answer 421, here and there
        self.losing = 0  # so many answers after the dot are still to be lost
        self.resets = deque()  # positions at which connections are still to be reset, one each
        self.in_doubt = 0  # messages that were under way when their connections were broken
        self.breaks = 0
        self.refusals = 0
        self.unsigned = 0  # messages without a signature (DKIM)
        self._writers = {}
        self._under_way = set()  # connections on which a message's content was asked for and not answered
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._contexts = [None, secured] if secured else [None]
        self._servers = []
        self._ports = [0] * len(self._contexts)

    def __enter__(self):
        self._thread.start()
        self.listen()
        return self

    def __exit__(self, *_):
        self.vanish()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(60)
        self._loop.close()

    def behave(self):
        """Be a good relay from now on."""
        self.storm, self.losing, self.seconds = False, 0, 0.0
        self.resets.clear()

    @property
    def port(self):
        return self._ports[0]

    @property
    def secured_port(self):
        return self._ports[1]

    @property
    def connections(self):
        return len(self._writers)

    def listen(self):
        """Take connections (again, on the same ports)."""
        self._do(self._listen())

    def vanish(self):
        """Close the listener and break every connection."""
        self._do(self._vanish())

    def _do(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(60)

    async def _listen(self):
        wanted = zip(self._ports, self._contexts, strict=True)
        self._servers = [
            await asyncio.start_server(self._serve, "127.0.0.1", port, limit=2**22, ssl=context)
            for port, context in wanted
        ]
        self._ports = [server.sockets[0].getsockname()[1] for server in self._servers]

    async def _vanish(self):
        for server in self._servers:
            server.close()
        conversations = list(self._writers.values())
        for writer in list(self._writers):
            self._break(writer)
        await asyncio.gather(*conversations, return_exceptions=True)

    def _break(self, writer):
        """Reset the connection: what was said and not read yet is lost too."""
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        writer.transport.abort()
        self.breaks += 1
        self.in_doubt += writer in self._under_way

    async def _serve(self, reader, writer):
        self._writers[writer] = asyncio.current_task()
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await self._converse(reader, writer)
        finally:
            del self._writers[writer]
            self._under_way.discard(writer)
            writer.close()

    async def _converse(self, reader, writer):
        await self._at("connect", writer)
        writer.write(b"220 ready\r\n")
        recipient = ""
        while True:
            line = (await reader.readuntil(b"\r\n")).decode().strip()
            verb = line[:4].lower()
            if verb == "quit":
                writer.write(b"221 bye\r\n")
                return
            if verb in POSITIONS:
                await self._at(verb, writer)
            if verb == "rcpt":
                recipient = line[line.find("<") + 1 : line.rfind(">")]
            if verb == "data":
                self._under_way.add(writer)
                writer.write(b"354 go on\r\n")
                await self._receive(recipient, reader, writer)
            else:
                writer.write(b"250-relay.example\r\n250 PIPELINING\r\n" if verb == "ehlo" else b"250 2.1.0 fine\r\n")

    async def _receive(self, recipient, reader, writer):
        if self.resets and self.resets[0] == "content":
            await reader.read(20)
        await self._at("content", writer)
        content = await reader.readuntil(b"\r\n.\r\n")
        if self.seconds:
            await asyncio.sleep(self.seconds)
        await self._at("dot", writer)
        self.taken[recipient] += 1
        self.names[recipient].add(_MESSAGE_ID.search(content)[1])
        self.domains[recipient.rpartition("@")[2]] += 1
        self.count += 1
        self.unsigned += b"DKIM-Signature:" not in content
        await self._at("taken", writer)
        if self.losing > 0:
            self.losing -= 1
            self._break(writer)
            raise ConnectionResetError
        writer.write(b"250 2.0.0 taken\r\n")
        self._under_way.discard(writer)
        await self._at("answered", writer)

    async def _at(self, position, writer):
        """Break here, or answer that there is too much to do, if that is what was asked for."""
        if self.resets and self.resets[0] == position:
            self.resets.popleft()
            self._break(writer)
            raise ConnectionResetError
        if self.storm and position not in {"content", "taken", "answered"}:
            self.refusals += 1
            if self.refusals % 4 == 0:
                writer.write(f"{_BUSY}\r\n".encode())
                await writer.drain()
                raise ConnectionResetError
