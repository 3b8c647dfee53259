"""Trying whether messages can be made: a batch at a time, in this process or as a process of its own.

Whether a message can be made depends on its conditions, loops and expressions alone: conditions are decided, and the loops
and expressions that are left are rendered for each. What is fixed, or merely shown, can be made with any value; it only adds
to the size. Where anything is amiss, the whole message is made, and what that says counts.

A batch is lines as COPY writes them: the number of a contact, a tab, its values as JSON. As a process
(`python -m webapp.content.making`) it reads the frozen content as a line of JSON, then batches, each behind a line with
its length in bytes, and answers each with a line of JSON. It ends when its input does, also if who gave it was killed.
"""

import json
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, BinaryIO, Self

from markupsafe import escape

from webapp.content.deciding import Deciding
from webapp.content.limits import OUTPUT_CHARACTERS
from webapp.content.outline import Logic, Shown
from webapp.content.problems import TemplateProblem
from webapp.content.render import Compiled, outlines, readable, thaw

#: For so many combinations of branches it is kept how to measure a message.
_MOST_KNOWN = 1024
#: As a process it gives way to those that people wait for.
NICE = 5


@dataclass(slots=True)
class Made:
    """What came of it: how many messages were made, which could not be, and the largest HTML part in bytes."""

    count: int = 0
    failed: dict[int, TemplateProblem] = field(default_factory=dict)
    largest: int = 0

    def __iadd__(self, other: "Made") -> Self:
        self.count += other.count
        self.failed |= other.failed
        self.largest = max(self.largest, other.largest)
        return self


class Trial:
    """Tries the messages of one content."""

    def __init__(self, compiled: Compiled) -> None:
        self._compiled = compiled
        self._parts = outlines(compiled.frozen.as_dict())
        self._deciding = Deciding([*self._parts.subject, *self._parts.text, *self._parts.html])
        self._known: dict[tuple[int, ...], list[_Measure]] = {}

    def size(self, values: Mapping[str, Any]) -> int:
        """Return how many bytes the HTML part of a recipient's message takes. Raises TemplateProblem if it cannot be made."""
        given = readable(values, base_url=self._compiled.frozen.base_url)
        try:
            taken = self._deciding.taken(given)
            sizes = [measure.size(given) for measure in self._known.get(taken) or self._measures(taken)]
            if max(sizes) <= OUTPUT_CHARACTERS:
                return sizes[0]
        except TemplateProblem:
            pass
        return len(self._compiled.render(values).html.encode())

    def _measures(self, taken: tuple[int, ...]) -> "list[_Measure]":
        """Return how to measure messages that take these branches: the HTML part, the subject and the text."""
        if len(self._known) >= _MOST_KNOWN:
            self._known = {}
        along, parts = self._deciding.along, self._parts
        html = _Measure(along(parts.html, taken), html=True)
        others = [_Measure(along(words, taken), html=False) for words in (parts.subject, parts.text)]
        measures = self._known[taken] = [html, *others]
        return measures


class _Measure:
    """The parts of one template, each with how often it stands there."""

    def __init__(self, found: Iterable[str | Shown | Logic], *, html: bool) -> None:
        parts = list(found)
        self._escaped = html
        self._fixed = sum(len(part.encode()) for part in parts if isinstance(part, str))
        self._shown = Counter((part.name, part.fallback) for part in parts if isinstance(part, Shown))
        templates = {part.key: part.template for part in parts if isinstance(part, Logic)}
        times = Counter(part.key for part in parts if isinstance(part, Logic))
        self._logic = [(templates[key], count) for key, count in times.items()]

    def size(self, given: Mapping[str, Any]) -> int:
        size = self._fixed
        for (name, fallback), times in self._shown.items():
            value = given.get(name)
            size += times * _bytes(fallback if value is None or value == "" else str(value), escaped=self._escaped)
        for template, times in self._logic:
            size += times * len(template.render(given).encode())
        return size


@lru_cache(maxsize=20_000)  # first names, towns and the like come again and again
def _bytes(text: str, *, escaped: bool) -> int:
    return len((escape(text) if escaped else text).encode())


def make(batch: bytes, *, trial: Trial) -> Made:
    """Try each message of a batch once."""
    made = Made()
    for contact, values in _read(batch):
        try:
            size = trial.size(values)
        except TemplateProblem as problem:
            made.failed[contact] = problem
        else:
            made.count += 1
            made.largest = max(made.largest, size)
    return made


def _read(batch: bytes) -> Iterator[tuple[int, dict[str, Any]]]:
    rows = [line.partition(b"\t") for line in batch.splitlines()]
    said = b",".join(values for _contact, _tab, values in rows).replace(b"\\\\", b"\\")  # COPY doubles what escapes
    return zip((int(contact) for contact, _tab, _values in rows), json.loads(b"[%s]" % said), strict=True)


def answer(made: Made) -> bytes:
    """Write down what came of a batch as a line."""
    failed = [[contact, problem.code, problem.line, problem.params] for contact, problem in made.failed.items()]
    return json.dumps([made.count, made.largest, failed], default=str).encode() + b"\n"


def read_answer(line: bytes) -> Made:
    """Read what `answer` wrote."""
    count, largest, failed = json.loads(line)
    problems = {contact: TemplateProblem(code, line=at, **params) for contact, code, at, params in failed}
    return Made(count, problems, largest)


def serve(given: BinaryIO, said: BinaryIO) -> None:
    """Answer batch after batch until there are none."""
    trial = Trial(thaw(json.loads(given.readline())))
    while length := given.readline():
        said.write(answer(make(given.read(int(length)), trial=trial)))
        said.flush()


if __name__ == "__main__":
    os.nice(NICE)
    serve(sys.stdin.buffer, sys.stdout.buffer)
