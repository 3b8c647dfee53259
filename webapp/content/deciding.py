"""Which branches of a content's conditions a recipient's values take: all of them decided in one go of Jinja.

The conditions are compiled without what they show: each of their branches says its number, and holds the conditions that
stand in it, so that those are decided only where Jinja would have come to them. Conditions with the same tests, in the text
and in the HTML say, are decided once. And values that have been seen before are not even asked again: many recipients share
a language or a country.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from jinja2 import nodes

from webapp.content.outline import Choice, Logic, Part, Shown
from webapp.content.sandbox import Template

#: Combinations of values whose decisions are kept.
_MOST_KNOWN = 10_000


class Deciding:
    """Decides the conditions among `parts`; safe to use from several threads."""

    def __init__(self, parts: Iterable[Part]) -> None:
        self._numbers: dict[Choice, int] = {}
        self._count = 0
        tree = nodes.Template(self._tests_of(parts), lineno=1)
        #: The fields that the conditions read.
        self.names = tuple(sorted({name.name for name in tree.find_all(nodes.Name)}))
        self._template = Template(tree, html=False)
        self._known: dict[tuple[object, ...], tuple[int, ...]] = {}

    def number(self, choice: Choice) -> int:
        """Return the place of a condition's decision in what `taken` gives."""
        return self._numbers[choice]

    def taken(self, values: Mapping[str, Any]) -> tuple[int, ...]:
        """Return the number of the branch taken at each condition, 0 at those not come to. Raises TemplateProblem."""
        if not self._count:
            return ()
        read = tuple(map(values.get, self.names))
        try:
            found = self._known.get(read)
        except TypeError:  # a list among them
            found = None
        return found or self._decide(values, read)

    def along(self, parts: Iterable[Part], taken: tuple[int, ...]) -> Iterator[str | Shown | Logic]:
        """Give the parts that are left when of each condition only the branch taken is."""
        for part in parts:
            if isinstance(part, Choice):
                yield from self.along(part.branches[taken[self._numbers[part]]], taken)
            else:
                yield part

    def _decide(self, values: Mapping[str, Any], read: tuple[object, ...]) -> tuple[int, ...]:
        taken = [0] * self._count
        for said in self._template.render(values).split():
            number, _, branch = said.partition(":")
            taken[int(number)] = int(branch)
        decided = tuple(taken)
        # Only texts: 1, 1.0 and true are equal to Python, but not to every test.
        if all(value is None or isinstance(value, str) for value in read):
            if len(self._known) >= _MOST_KNOWN:
                self._known = {}
            self._known[read] = decided
        return decided

    def _tests_of(self, parts: Iterable[Part]) -> list[nodes.Node]:
        """Give the conditions that stand side by side as Jinja's, those with the same tests as one."""
        alike: dict[str, list[Choice]] = {}
        for part in parts:
            if isinstance(part, Choice):
                alike.setdefault(part.key, []).append(part)
        return [self._test_of(choices) for choices in alike.values()]

    def _test_of(self, choices: list[Choice]) -> nodes.If:
        number = self._count
        self._count += 1
        self._numbers |= dict.fromkeys(choices, number)
        bodies: list[list[nodes.Node]] = []
        for branch, same in enumerate(zip(*(choice.branches for choice in choices), strict=True)):
            said = nodes.Output([nodes.TemplateData(f"{number}:{branch} ")])
            bodies.append([said, *self._tests_of(part for parts in same for part in parts)])
        tests = choices[0].tests
        first, *others = (nodes.If(test, body, [], []) for test, body in zip(tests, bodies, strict=False))
        first.elif_, first.else_ = others, bodies[-1]
        return first
