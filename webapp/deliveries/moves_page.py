"""docs/deliveries.md, made from the table of moves: `python -m webapp.deliveries.moves_page > docs/deliveries.md`."""

import sys

from webapp.accounts.rights import Right
from webapp.deliveries.moves import MOVES, STATE_WORDS, Move
from webapp.deliveries.states import EDITABLE, FINAL, State

#: What a state means, for the page.
MEANING: dict[State, str] = {
    State.DRAFT: "being edited, or changed since it was prepared",
    State.PREPARING: "a job prepares",
    State.PREPARATION_FAILED: "a critical error prevents sending",
    State.READY: "prepared; waits for approval and confirmation",
    State.SCHEDULED: "confirmed for a later time",
    State.SENDING: "messages go out",
    State.PAUSED: "nothing goes out",
    State.STOPPED: "ended by a person; cannot be resumed",
    State.FINISHED: "every message accounted for; bounces, opens and clicks still arrive",
}
RIGHT_WORDS: dict[Right | None, str] = {
    None: "Sendoff itself",
    Right.PREPARE: "`prepare`",
    Right.ADMIN: "`admin`",
    Right.START: "`start`",
}


def page() -> str:
    """Return the page, as Markdown with a Mermaid diagram."""
    return "\n".join([*_head(), *_diagram(), *_states(), *_moves(), *_rules()]) + "\n"


def _word(state: State) -> str:
    return str(STATE_WORDS[state])


def _head() -> list[str]:
    return [
        "# A delivery's life",
        "",
        "Made from the table `MOVES` in `webapp/deliveries/moves.py`; a test keeps it current. To make it again:",
        "`python -m webapp.deliveries.moves_page > docs/deliveries.md`",
        "",
    ]


def _diagram() -> list[str]:
    names = {state: state.value.replace("-", "_") for state in State}
    lines = ["```mermaid", "stateDiagram-v2"]
    lines += [f"    state “{_word(state)}” as {names[state]}".replace("“", '"').replace("”", '"') for state in State]
    lines.append(f"    [*] --> {names[State.DRAFT]}")
    lines += [f"    {names[move.source]} --> {names[move.target]} : {move.verb}" for move in MOVES]
    lines += [f"    {names[state]} --> [*]" for state in State if state in FINAL]
    return [*lines, "```", ""]


def _states() -> list[str]:
    lines = ["## States", "", "| State | Meaning | May be edited |", "|---|---|---|"]
    lines += [f"| {_word(state)} | {MEANING[state]} | {'yes' if state in EDITABLE else 'no'} |" for state in State]
    return [*lines, ""]


def _moves() -> list[str]:
    def row(move: Move) -> str:
        return f"| {move.verb} | {_word(move.source)} | {_word(move.target)} | {RIGHT_WORDS[move.right]} |"

    return ["## Moves", "", "| Move | From | To | Right |", "|---|---|---|---|", *map(row, MOVES), ""]


def _rules() -> list[str]:
    return [
        "## What holds for all of them",
        "",
        "- `moves.move()` is the only function that writes a delivery's state. It is one conditional `UPDATE … WHERE state = …`, so that",
        "  of two people or processes only one can win; the other is told the present state (HTTP 409).",
        "- Each move leaves a row in `move`: who, when, from where to where, why. It is kept for good.",
        "- An edit of content, sender, audience or tracking of a Ready delivery leads back to Draft and drops what was prepared.",
        "- *Send now* and *schedule* name the count and the fingerprint that the person was shown; if either is not true any more, nothing is sent.",
        "- *Awaiting approval* is how Ready looks while its folder requires an approval that is missing.",
    ]


if __name__ == "__main__":
    sys.stdout.write(page())
