"""Slows down guessing: token buckets in Redis, or in this process while Redis is away. Nobody is locked out for good."""

import hashlib
import ipaddress
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from webapp import broker

# Takes one token from every bucket, or from none; answers the seconds to wait. ARGV: time, then size and rate of each.
TAKE = """
local now, wait, left = tonumber(ARGV[1]), 0, {}
for i, key in ipairs(KEYS) do
  local size, rate = tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1])
  local kept = redis.call('HMGET', key, 'left', 'at')
  local tokens = tonumber(kept[1]) or size
  local since = math.max(0, now - (tonumber(kept[2]) or now))
  left[i] = math.min(size, tokens + since * rate)
  if left[i] < 1 then wait = math.max(wait, (1 - left[i]) / rate) end
end
if wait > 0 then return math.ceil(wait) end
for i, key in ipairs(KEYS) do
  local size, rate = tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1])
  redis.call('HSET', key, 'left', left[i] - 1, 'at', now)
  redis.call('EXPIRE', key, math.ceil(size / rate) + 1)
end
return 0
"""
KEPT_HERE = 10_000


@dataclass(frozen=True)
class Bucket:
    """Holds `size` tokens and gets one back every `seconds`."""

    key: str
    size: int
    seconds: float


def sign_in_buckets(email: str, *, address: str | None) -> list[Bucket]:
    """Guesses at one account from one place, at one account from anywhere, from one place, and in all."""
    who, where = _digest(email.strip().lower()), _place(address)
    return [
        Bucket(f"throttle:in:{who}:{where}", 5, 30),
        Bucket(f"throttle:in:{who}", 50, 30),
        Bucket(f"throttle:in:at:{where}", 30, 10),
        Bucket("throttle:in:all", 300, 0.2),
    ]


def reset_buckets(email: str, *, address: str | None) -> list[Bucket]:
    """Letters to one account, letters asked for from one place, and in all."""
    return [
        Bucket(f"throttle:reset:{_digest(email.strip().lower())}", 3, 600),
        Bucket(f"throttle:reset:at:{_place(address)}", 10, 60),
        Bucket("throttle:reset:all", 100, 5),
    ]


def take(buckets: Sequence[Bucket], *, at: datetime) -> int:
    """Take a token from each bucket and return 0, or take none and return the seconds to wait."""
    now = at.timestamp()
    numbers = [number for bucket in buckets for number in (bucket.size, 1 / bucket.seconds)]
    try:
        return int(broker.quick().eval(TAKE, len(buckets), *[bucket.key for bucket in buckets], now, *numbers))
    except broker.RedisError:
        return _take_here(buckets, now)


def refund(buckets: Sequence[Bucket]) -> None:
    """Forget the guesses at this account from this place: they ended with the right password."""
    key = buckets[0].key
    _here.pop(key, None)
    try:
        broker.quick().delete(key)
    except broker.RedisError:
        return


_here: OrderedDict[str, tuple[float, float]] = OrderedDict()


def _take_here(buckets: Sequence[Bucket], now: float) -> int:
    """As TAKE, in the memory of this process; the oldest buckets are forgotten when there are too many."""
    left, wait = {}, 0.0
    for bucket in buckets:
        tokens, since = _here.get(bucket.key, (float(bucket.size), now))
        left[bucket.key] = min(bucket.size, tokens + max(0.0, now - since) / bucket.seconds)
        if left[bucket.key] < 1:
            wait = max(wait, (1 - left[bucket.key]) * bucket.seconds)
    if wait:
        return int(-(-wait // 1))
    for key, tokens in left.items():
        _here[key] = (tokens - 1, now)
        _here.move_to_end(key)
    while len(_here) > KEPT_HERE:
        _here.popitem(last=False)
    return 0


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


def _place(address: str | None) -> str:
    """Name of a place: an IPv4 address, or the network an IPv6 customer gets as a whole."""
    try:
        found = ipaddress.ip_address(address or "")
    except ValueError:
        return "unknown"
    if found.version == 6 and found.ipv4_mapped is None:
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)
