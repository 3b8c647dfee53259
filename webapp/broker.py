"""The one place that knows Redis. What is in Redis may vanish at any time: PostgreSQL holds the truth."""

from functools import lru_cache

import redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as BrokerDown
from redis.exceptions import RedisError
from redis.retry import Retry

__all__ = ["BrokerDown", "RedisError", "client", "configure", "quick"]

#: Seconds after which what has another way takes it.
QUICK_SECONDS = 0.5
_url: list[str] = []


def configure(url: str) -> None:
    """Say which Redis to use: `redis://…`, `rediss://…` or `unix:///path`."""
    _url[:] = [url]


def client() -> "redis.Redis":
    """Return this process's client; its pool is shared and safe across forks."""
    if not _url:
        raise RuntimeError("broker.configure() was not called.")
    return _connect(_url[0])


def quick() -> "redis.Redis":
    """Return a client that soon gives up, for what has another way when Redis does not answer."""
    if not _url:
        raise RuntimeError("broker.configure() was not called.")
    return _connect_quick(_url[0], QUICK_SECONDS)


@lru_cache(maxsize=4)
def _connect_quick(url: str, seconds: float) -> "redis.Redis":
    retry = Retry(NoBackoff(), 0)  # a repeated XADD could count twice
    return redis.Redis.from_url(url, socket_connect_timeout=seconds, socket_timeout=seconds, retry=retry)


@lru_cache(maxsize=4)
def _connect(url: str) -> "redis.Redis":
    # Answers are bytes: RQ and binary streams need them so.
    return redis.Redis.from_url(url, socket_connect_timeout=2, health_check_interval=30)
