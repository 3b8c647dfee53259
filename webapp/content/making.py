"""Making messages to see whether they can be made: a batch at a time, in this process or as a process of its own.

A batch is lines as COPY writes them: the number of a contact, a tab, its values as JSON. As a process
(`python -m webapp.content.making`) it reads the frozen content as a line of JSON, then batches, each behind a line with
its length in bytes, and answers each with a line of JSON. It ends when its input does, also if who gave it was killed.
"""

import json
import sys
from dataclasses import dataclass, field
from typing import BinaryIO, Self

from webapp.content.problems import TemplateProblem
from webapp.content.render import Compiled, thaw


@dataclass(slots=True)
class Made:
    """What came of it: how many messages were made, which could not be, and the largest HTML part in characters."""

    count: int = 0
    failed: dict[int, TemplateProblem] = field(default_factory=dict)
    largest: int = 0

    def __iadd__(self, other: "Made") -> Self:
        self.count += other.count
        self.failed |= other.failed
        self.largest = max(self.largest, other.largest)
        return self


def make(batch: bytes, *, compiled: Compiled) -> Made:
    """Make each message of a batch once."""
    made = Made()
    for line in batch.splitlines():
        contact, _tab, values = line.partition(b"\t")
        try:
            rendered = compiled.render(json.loads(values.replace(b"\\\\", b"\\")))  # COPY doubles what escapes
        except TemplateProblem as problem:
            made.failed[int(contact)] = problem
        else:
            made.count += 1
            made.largest = max(made.largest, len(rendered.html))
    return made


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
    compiled = thaw(json.loads(given.readline()))
    while length := given.readline():
        said.write(answer(make(given.read(int(length)), compiled=compiled)))
        said.flush()


if __name__ == "__main__":
    serve(sys.stdin.buffer, sys.stdout.buffer)
