"""Pacing: so many messages a second over one relay, whatever the number of workers.

A token bucket in Redis, drawn on in small lots. If Redis is away, each process keeps to its own share by its own clock.
"""

import logging
import threading
import time
from collections.abc import Callable

from webapp import broker

log = logging.getLogger(__name__)

#: KEYS[1] bucket; ARGV rate, lot, burst. Returns how many may go now, and milliseconds to wait if none may.
_DRAW = """
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local rate, lot, burst = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local held = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens = math.min(burst, (tonumber(held[1]) or burst) + (now - (tonumber(held[2]) or now)) * rate / 1000)
local given = math.min(lot, math.floor(tokens))
local wait = 0
if given < 1 then
  given = 0
  wait = math.ceil((1 - tokens) * 1000 / rate)
end
redis.call('HSET', KEYS[1], 'tokens', tokens - given, 'at', now)
redis.call('PEXPIRE', KEYS[1], 60000)
return {given, wait}
"""


class Pacer:
    """Lets messages go at `per_second` (None: no limit) over all workers; one for each process, used by its threads."""

    def __init__(self, relay_id: int, *, per_second: int | None, share: int = 1) -> None:
        self._key = f"sendoff:pace:{relay_id}"
        self._rate = per_second
        self._share = max(1, share)
        self._lock = threading.Lock()
        self._held = 0
        self._next = 0.0

    def wait(self, *, stopped: Callable[[], bool]) -> bool:
        """Wait until one more message may go; False if `stopped()` came first."""
        if self._rate is None:
            return True
        while not stopped():
            pause = self._take()
            if pause <= 0:
                return True
            time.sleep(min(pause, 0.2))
        return False

    def _take(self) -> float:
        with self._lock:
            if self._held > 0:
                self._held -= 1
                return 0
            given, pause = self._draw(self._rate or 1)
            self._held = max(0, given - 1)
            return 0 if given else pause

    def _draw(self, rate: int) -> tuple[int, float]:
        lot = max(1, rate // (10 * self._share))
        try:
            given, wait = broker.client().eval(_DRAW, 1, self._key, str(rate), str(lot), str(max(1, rate // 5)))
            return int(given), int(wait) / 1000
        except broker.RedisError:
            now = time.monotonic()
            if now < self._next:
                return 0, self._next - now
            self._next = now + self._share / rate
            return 1, 0
