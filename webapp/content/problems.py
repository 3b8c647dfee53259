"""What can be wrong with a template, in words that somebody who writes newsletters understands."""

from webapp.words import _l

MESSAGES = {
    "too_long": _l("The content is longer than %(limit)s characters."),
    "too_deep": _l("This is nested too deep. Make it simpler."),
    "not_closed": _l("%(open)s is never closed: add %(close)s."),
    "not_opened": _l("%(tag)s closes nothing: remove it, or add what it belongs to before it."),
    "unknown_tag": _l("%(tag)s is not known here. Use conditions (if, elif, else, endif) and loops (for, endfor)."),
    "comment_open": _l("%(open)s starts a comment that never ends. In CSS, put a space between the two signs."),
    "syntax": _l(
        "A merge field or condition is not written in a way that is understood here. Look for a missing brace or quote."
    ),
    "not_allowed": _l("%(what)s cannot be used here. Allowed are fields, fallbacks, conditions and simple loops."),
    "name": _l("The name “%(name)s” cannot be used: it is reserved."),
    "filter": _l("The filter “%(name)s” is not known. These are: %(known)s."),
    "filter_value": _l("What stands in the parentheses of “%(name)s” must be a plain text or number."),
    "test": _l("“is %(name)s” is not known. Use “is defined”."),
    "loop_depth": _l("Loops may stand inside each other at most %(limit)s deep."),
    "loop_count": _l("There are more than %(limit)s loops."),
    "loop_over": _l("A loop must go over a field that holds a list."),
    "inside_tag": _l(
        "A merge field or condition stands inside an HTML tag, outside the quotes of an attribute. "
        "Put it around the whole element, or inside the quotes."
    ),
    "loop_list": _l("A loop goes over a field that is not a list, or a list of more than %(limit)s entries."),
    "output": _l("The message became longer than %(limit)s characters."),
    "slow": _l("The message took too long to make."),
    "failed": _l("A condition compares values that cannot be compared, or a field has an unexpected form: %(detail)s"),
}


class TemplateProblem(Exception):  # noqa: N818 - it is shown as a problem of the content, with its line
    """Why a template cannot be used: a code with a sentence, its parameters, the line (from 1; 0: no line) and the part it is in."""

    def __init__(self, code: str, *, line: int = 0, **params: object) -> None:
        super().__init__(code, line, params)
        self.code = code
        self.line = line
        self.params = params
        self.part = ""

    @property
    def message(self) -> str:
        """The sentence in the language of whoever asks."""
        sentence = str(MESSAGES[self.code])
        return sentence % self.params if self.params else sentence

    def __str__(self) -> str:
        return f"{self.line}: {self.message}" if self.line else self.message
