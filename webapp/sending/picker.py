"""Which message goes next: the first whose limits let it go; those of a domain that has to wait are set aside meanwhile."""

import heapq
from collections import deque

from webapp.sending.pacing import Pacer
from webapp.sending.stock import Item, Stock

#: So many are set aside at most; then nothing more is taken.
MOST_ASIDE = 2000
#: What was set aside and may not go without a new lease is asked about again after so many seconds.
_LATER = 0.25


class Picker:
    """Takes from the stock in order; used by the loop alone."""

    def __init__(self, stock: Stock, pacer: Pacer) -> None:
        self._waiting = stock.waiting
        self._pacer = pacer
        self._aside: dict[str, deque[Item]] = {}
        self._due: list[tuple[float, str]] = []  # a heap: when each domain set aside is worth asking about
        self._number = 0

    @property
    def due(self) -> float | None:
        """When a message set aside may go, if any is."""
        return self._due[0][0] if self._due else None

    def next(self, now: float) -> Item | None:
        """Return the next message, None if there is none just now."""
        if self._due and self._due[0][0] <= now and (item := self._from_aside(now)) is not None:
            return item
        while self._waiting and self._number < MOST_ASIDE:
            item = self._waiting.popleft()
            hold = item.hold
            if hold.lost:
                continue  # another process has it by now
            if now >= hold.deadline:
                self._waiting.append(item)  # the lease is about to be renewed, or lost
                return None
            waiting = self._aside.get(item.domain)
            if waiting is not None:
                waiting.append(item)
                self._number += 1
                continue
            pause = self._pacer.wait_for(item.domain, now)
            if pause <= 0:
                return item
            self._aside[item.domain] = deque((item,))
            self._number += 1
            heapq.heappush(self._due, (now + pause, item.domain))
        return None

    def _from_aside(self, now: float) -> Item | None:
        while self._due and self._due[0][0] <= now:
            domain = self._due[0][1]
            waiting = self._aside[domain]
            if not waiting[0].hold.lost:
                if now >= waiting[0].hold.deadline:  # the lease is about to be renewed, or lost
                    heapq.heapreplace(self._due, (now + _LATER, domain))
                    continue
                pause = self._pacer.wait_for(domain, now)
                if pause > 0:
                    heapq.heapreplace(self._due, (now + pause, domain))
                    continue
            item = waiting.popleft()
            self._number -= 1
            if not waiting:
                del self._aside[domain]
                heapq.heappop(self._due)
            if not item.hold.lost:
                return item
        return None
