"""Users' templates: what may stand in them, and how they are run.

Two fences, one behind the other. Before a template is compiled its syntax tree is walked, and only what is listed
here may stand in it: fields, a few filters, conditions, and loops over lists at most two deep. It then runs in
Jinja's immutable sandbox, whose attribute access is replaced by plain look-ups in data, with bounded output and time.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from jinja2 import TemplateSyntaxError, Undefined, nodes
from jinja2.exceptions import TemplateError
from jinja2.filters import FILTERS
from jinja2.runtime import LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment

from webapp.content.limits import (
    LOOP_DEPTH,
    LOOP_ITEMS,
    LOOPS,
    NESTING,
    OUTPUT_CHARACTERS,
    RENDER_SECONDS,
    SOURCE_CHARACTERS,
)
from webapp.content.problems import TemplateProblem

Values = Mapping[str, Any]


class _Missing(Undefined):
    """A field without a value: empty where it is shown, false where it is compared."""

    def _never(self, other: object) -> bool:
        del other
        return False

    __lt__ = __le__ = __gt__ = __ge__ = _never  # type: ignore[assignment]


def _default(value: object, fallback: object = "") -> object:
    """Give the fallback for a value that is missing or empty, as people expect of a merge field."""
    return fallback if isinstance(value, Undefined) or value is None or value == "" else value


def _entries(value: object) -> Sequence[object]:
    if value is None or isinstance(value, Undefined):
        return ()
    if not isinstance(value, list | tuple) or len(value) > LOOP_ITEMS:
        raise TemplateProblem("loop_list", limit=LOOP_ITEMS)
    return value


def _join(value: object, separator: str = ", ") -> str:
    return str(separator).join(str(entry) for entry in _entries(value))


_USERS_FILTERS: dict[str, Callable[..., Any]] = {
    "default": _default,
    "join": _join,
    **{
        name: FILTERS[name]
        for name in (
            "capitalize",
            "first",
            "int",
            "last",
            "length",
            "lower",
            "round",
            "title",
            "trim",
            "truncate",
            "upper",
            "urlencode",
        )
    },
}
FILTER_NAMES = tuple(sorted(_USERS_FILTERS))
_LOOP_FACTS = frozenset({"index", "index0", "first", "last", "length"})
_JINJAS_NAMES = frozenset({"self", "super", "caller", "varargs", "kwargs"})
_TESTS = frozenset({"defined", "undefined"})


class _Sandbox(ImmutableSandboxedEnvironment):
    """Nothing but data: no globals, no methods, no attributes of Python objects."""

    def __init__(self, *, autoescape: bool) -> None:
        super().__init__(autoescape=autoescape, keep_trailing_newline=True, undefined=_Missing, cache_size=0)
        self.globals.clear()
        self.filters = {**_USERS_FILTERS, "_entries": _entries}
        self.tests = {name: self.tests[name] for name in _TESTS}

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, LoopContext) and attribute in _LOOP_FACTS:
            return getattr(obj, attribute)
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        value = obj.get(argument) if isinstance(obj, Mapping) else None
        return value if value is not None else self.undefined(obj=obj, name=str(argument))

    def is_safe_callable(self, obj: Any) -> bool:
        del obj
        return False


_HTML = _Sandbox(autoescape=True)
_PLAIN = _Sandbox(autoescape=False)

_ALLOWED = (
    nodes.Template,
    nodes.Output,
    nodes.TemplateData,
    nodes.Name,
    nodes.Const,
    nodes.List,
    nodes.Tuple,
    nodes.If,
    nodes.For,
    nodes.Filter,
    nodes.Test,
    nodes.Getattr,
    nodes.Compare,
    nodes.Operand,
    nodes.And,
    nodes.Or,
    nodes.Not,
    nodes.Neg,
    nodes.CondExpr,
)
_SAID = {
    nodes.Call: "a call, such as name()",
    nodes.Assign: "set",
    nodes.AssignBlock: "set",
    nodes.Macro: "macro",
    nodes.Include: "include",
    nodes.Import: "import",
    nodes.FromImport: "import",
    nodes.Extends: "extends",
    nodes.Block: "block",
    nodes.Getitem: "a look-up in brackets",
    nodes.Concat: "~",
    nodes.Mul: "*",
    nodes.Pow: "**",
    nodes.Add: "+",
    nodes.Sub: "-",
    nodes.Div: "/",
    nodes.FloorDiv: "//",
    nodes.Mod: "%",
    nodes.With: "with",
    nodes.FilterBlock: "filter",
    nodes.CallBlock: "call",
}


class _Walk:
    """One walk over a syntax tree, refusing whatever is not on the list."""

    def __init__(self, internal: frozenset[str]) -> None:
        self.internal = internal
        self.loops = 0

    def visit(self, node: nodes.Node, *, depth: int = 0, loops: int = 0) -> None:
        line = node.lineno or 0
        if depth > NESTING:
            raise TemplateProblem("too_deep", line=line)
        if not isinstance(node, _ALLOWED):
            what = _SAID.get(type(node), type(node).__name__.lower())
            raise TemplateProblem("not_allowed", line=line, what=f"“{what}”")
        if isinstance(node, nodes.Name):
            self._name(node.name, line=line)
        elif isinstance(node, nodes.Getattr):
            self._name(node.attr, line=line)
        elif isinstance(node, nodes.Filter):
            self._filter(node, line=line)
        elif isinstance(node, nodes.Test) and node.name not in _TESTS:
            raise TemplateProblem("test", line=line, name=node.name)
        elif isinstance(node, nodes.For):
            loops += 1
            self._loop(node, line=line, loops=loops)
        for child in node.iter_child_nodes():
            self.visit(child, depth=depth + 1, loops=loops)

    def _name(self, name: str, *, line: int) -> None:
        if (name.startswith("_") and name not in self.internal) or name in _JINJAS_NAMES:
            raise TemplateProblem("name", line=line, name=name)

    def _filter(self, node: nodes.Filter, *, line: int) -> None:
        if node.name not in _USERS_FILTERS or node.node is None:
            raise TemplateProblem("filter", line=line, name=node.name, known=", ".join(FILTER_NAMES))
        plain = (nodes.Const, nodes.Name) if node.name == "default" else (nodes.Const,)
        given = [*node.args, *(keyword.value for keyword in node.kwargs)]
        if node.dyn_args or node.dyn_kwargs or node.kwargs or not all(isinstance(part, plain) for part in given):
            raise TemplateProblem("filter_value", line=line, name=node.name)

    def _loop(self, node: nodes.For, *, line: int, loops: int) -> None:
        self.loops += 1
        if loops > LOOP_DEPTH:
            raise TemplateProblem("loop_depth", line=line, limit=LOOP_DEPTH)
        if self.loops > LOOPS:
            raise TemplateProblem("loop_count", line=line, limit=LOOPS)
        plain_target = isinstance(node.target, nodes.Name)
        plain_list = isinstance(node.iter, nodes.Name | nodes.Getattr | nodes.List)
        if node.recursive or not plain_target or not plain_list:
            raise TemplateProblem("loop_over", line=line)


def parse(source: str, *, internal: Iterable[str] = ()) -> nodes.Template:
    """Give the checked syntax tree of a template; `internal` are reserved names that our own code put into it.

    Raises TemplateProblem, with the line, for anything that is not allowed or not understood.
    """
    if len(source) > SOURCE_CHARACTERS:
        raise TemplateProblem("too_long", limit=SOURCE_CHARACTERS)
    try:
        tree = _PLAIN.parse(source)
    except TemplateSyntaxError as error:
        raise _explained(error) from None
    except RecursionError:
        raise TemplateProblem("too_deep") from None
    _Walk(frozenset(internal)).visit(tree)
    return tree


def _explained(error: TemplateSyntaxError) -> TemplateProblem:
    """Say in plain words what Jinja says in its own."""
    said, line = error.message or "", error.lineno
    if "innermost block that needs to be closed is" in said:
        block = said.rsplit("'", 2)[1]
        return TemplateProblem("not_closed", line=line, open=f"{{% {block} %}}", close=f"{{% end{block} %}}")
    if said.startswith("Missing end of comment"):
        return TemplateProblem("comment_open", line=line, open="{#")
    if said.startswith("Encountered unknown tag '"):
        tag = said.split("'")[1]
        code = "not_opened" if tag.startswith(("end", "el")) else "unknown_tag"
        return TemplateProblem(code, line=line, tag=f"{{% {tag} %}}")
    if said.startswith("No filter named '"):
        return TemplateProblem("filter", line=line, name=said.split("'")[1], known=", ".join(FILTER_NAMES))
    if said.startswith("No test named '"):
        return TemplateProblem("test", line=line, name=said.split("'")[1])
    return TemplateProblem("syntax", line=line)


class Template:
    """A checked template, compiled once and rendered many times."""

    def __init__(self, source: str | nodes.Template, *, html: bool, internal: Iterable[str] = ()) -> None:
        """Compile a source, or (a part of) a tree that `parse` gave."""
        tree = parse(source, internal=internal) if isinstance(source, str) else source
        self._loops = False
        for loop in tree.find_all(nodes.For):
            self._loops = True
            loop.iter = nodes.Filter(loop.iter, "_entries", [], [], None, None, lineno=loop.lineno)
        environment = _HTML if html else _PLAIN
        tree.set_environment(environment)
        try:
            self._compiled = environment.from_string(tree)
        except (RecursionError, SyntaxError, MemoryError):
            raise TemplateProblem("too_deep") from None
        except TemplateSyntaxError as error:
            raise _explained(error) from None

    def render(self, values: Values) -> str:
        """Give the text for these values; a field that has no value is empty. Raises TemplateProblem."""
        return "".join(self.pieces(values))

    def pieces(self, values: Values) -> list[str]:
        """Give the text as the pieces it is made of: fixed ones are the very same strings each time. Raises TemplateProblem."""
        given = {name: value for name, value in values.items() if value is not None}
        try:
            return list(self._bounded(given)) if self._loops else self._straight(given)
        except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
            raise TemplateProblem("failed", detail=str(error)[:200]) from None

    def _straight(self, given: dict[str, Any]) -> list[str]:
        """Run a template without loops: it can only become as long as its values are."""
        pieces = list(self._compiled.root_render_func(self._compiled.new_context(given)))
        if sum(map(len, pieces)) > OUTPUT_CHARACTERS:
            raise TemplateProblem("output", limit=OUTPUT_CHARACTERS)
        return pieces

    def _bounded(self, given: dict[str, Any]) -> Iterator[str]:
        left = OUTPUT_CHARACTERS
        late, worked = time.monotonic() + RENDER_SECONDS, time.thread_time()
        for chunk in self._compiled.root_render_func(self._compiled.new_context(given)):
            left -= len(chunk)
            if left < 0:
                raise TemplateProblem("output", limit=OUTPUT_CHARACTERS)
            # A process that was frozen or waited for its turn in between is no fault of the template: its own work counts.
            if time.monotonic() > late and time.thread_time() - worked > RENDER_SECONDS:
                raise TemplateProblem("slow")
            yield chunk


@lru_cache(maxsize=512)
def compiled(source: str, *, html: bool) -> Template:
    """Give the template of a source, remembered: for small ones that are used again and again, such as link targets."""
    return Template(source, html=html)
