"""Token buckets that all workers on all hosts draw on: kept in Redis, drawn in small lots, one clock (that of Redis).

If Redis is away, each process keeps to its own share by its own clock.
"""

import time

from webapp import broker

#: How much of a second a bucket holds, and a lot is worth.
_BURST_SECONDS = 0.2
_LOT_SECONDS = 0.1
#: After Redis has failed, it is left alone this long: the loop that asks must not wait for it again and again.
_REST_SECONDS = 5.0

#: KEYS[1] bucket; ARGV rate (a second), lot, burst. Returns how many may go now, and milliseconds to wait if none may.
_DRAW = """
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local rate, lot, burst = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local held = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local passed = math.max(0, now - (tonumber(held[2]) or now))
local tokens = math.min(burst, (tonumber(held[1]) or burst) + passed * rate / 1000)
local given = math.min(lot, math.floor(tokens))
local wait = 0
if given < 1 then
  given = 0
  wait = math.ceil((1 - tokens) * 1000 / rate)
end
redis.call('HSET', KEYS[1], 'tokens', tostring(tokens - given), 'at', now)
redis.call('PEXPIRE', KEYS[1], math.ceil(60000 + 2000 * burst / rate))
return {given, wait}
"""


class Bucket:
    """One process's hand in a bucket: `wait()` says how long until a message may go, `take()` lets it go."""

    def __init__(self, key: str, *, per_second: float, share: int = 1) -> None:
        self.per_second = per_second
        self._key = key
        self._share = max(1, share)
        self._lot = max(1, int(per_second * _LOT_SECONDS / self._share))
        self._burst = max(1.0, per_second * _BURST_SECONDS)
        self._held = 0
        self._next = 0.0
        self._away_until = 0.0

    def wait(self, now: float) -> float:
        """Return 0 if a message may go, else the seconds until one may; `now` is monotonic."""
        if self._held > 0:
            return 0.0
        if now < self._next:
            return self._next - now
        pause = self._draw(now)
        if self._held > 0:
            return 0.0
        self._next = now + pause
        return pause

    def take(self) -> None:
        """Let one go. Ask `wait()` first."""
        self._held -= 1

    def _draw(self, now: float) -> float:
        """Fill the hand; return the seconds to wait if it stays empty."""
        if now >= self._away_until:
            try:
                given, wait = broker.quick().eval(
                    _DRAW, 1, self._key, str(self.per_second), str(self._lot), str(self._burst)
                )
            except broker.RedisError:
                self._away_until = time.monotonic() + _REST_SECONDS
            else:
                self._held = int(given)
                return int(wait) / 1000
        self._held = 1
        self._next = now + self._share / self.per_second
        return 0.0
