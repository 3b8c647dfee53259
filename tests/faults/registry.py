"""The kinds of faults, by their words: what does each, and what it needs."""

KINDS = {}
#: Processes of the product are killed (SIGKILL).
KILLS = set()
#: These lead to the end of the delivery.
LAST = set()
#: These need disks of our own.
DISKS = set()
#: These need a second relay.
PAIRS = set()
#: These take too long for `make test`.
LONG = set()


def kind(words, **marks):
    """Register what does it to a trial and says how many messages that may leave in doubt, beside what its relays know of.

    `marks`: kill, last, disk, pair, long.
    """
    sets = {"kill": KILLS, "last": LAST, "disk": DISKS, "pair": PAIRS, "long": LONG}

    def add(function):
        KINDS[words] = function
        for mark in marks:
            sets[mark].add(words)
        return function

    return add
