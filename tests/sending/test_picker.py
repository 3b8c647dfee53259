"""Which message goes next when domains and leases have their say."""

from types import SimpleNamespace

from webapp.sending.picker import Picker
from webapp.sending.stock import Item, Stock

NOW = 1000.0


class SlowPacer:
    """Every domain takes a message each half second."""

    def __init__(self):
        self.free_at = {}

    def wait_for(self, domain, now):
        pause = self.free_at.get(domain, 0.0) - now
        if pause <= 0:
            self.free_at[domain] = now + 0.5
        return max(pause, 0.0)


def stocked(*domains, deadline):
    hold = SimpleNamespace(lost=False, deadline=deadline)
    stock = Stock()
    stock.waiting.extend(Item(None, hold, place, domain) for place, domain in enumerate(domains))
    return stock, hold


def test_what_is_set_aside_does_not_keep_the_loop_spinning_while_no_lease_can_be_renewed():
    stock, hold = stocked("a.example", "a.example", "b.example", "b.example", deadline=NOW + 1)
    picker = Picker(stock, SlowPacer())
    assert [picker.next(NOW).domain for _ in range(2)] == ["a.example", "b.example"]
    assert picker.next(NOW) is None
    after = hold.deadline + 0.2  # the database is away
    assert picker.next(after) is None
    assert picker.due > after + 0.1
    hold.deadline += 30  # and back
    found = [picker.next(picker.due) for _ in range(2)]
    assert sorted(item.domain for item in found) == ["a.example", "b.example"]
