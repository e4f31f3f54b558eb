"""The page docs/life-cycle.md, drawn from the tables that the statements obey."""

from .commands import COMMANDS
from .errors import NotDeletable
from .states import FINISHED, TRANSITIONS, Event, State

__all__ = ["page"]

INTRODUCTION = """# Life of a job

Made from the code by `./scripts/docs`. All kinds of jobs live by this table, and a change of state and its event in
`/v1/jobs/{id}/events` are one transaction.

- **queued**: waits for a worker, or for its next attempt.
- **running**: a worker has it, under a lease that it renews.
- **pausing**, **cancelling**: a worker has it and was asked to stop; cancelling wins over pausing.
- **paused**: keeps its checkpoints and waits for a client.
- **succeeded**, **failed**, **cancelled**: finished; a failed training keeps its best living model.
"""
HAPPENINGS = {
    Event.claim: "a worker takes the job",
    Event.expire: "its deadline passes while no worker has it",
    Event.release: "the worker goes down in order: no attempt is used",
    Event.lose_lease: "the worker or the run died, and attempts are left",
    Event.exhaust: "the worker or the run died in the last attempt allowed",
    Event.confirm_pause: "the run has saved itself and stopped: no attempt is used",
    Event.confirm_cancel: "the run has stopped",
    Event.succeed: "the run has finished",
    Event.fail: "the run ended with an error",
}


def page() -> str:
    return "\n".join([INTRODUCTION, _commands(), _happenings(), _drawing()])


def _commands() -> str:
    notes = (
        "## What a client asks\n\nThe state after the command, or the code of the 409. Asking again for what has "
        "already been asked changes nothing.\n"
    )
    rows = [[f"`{state}`", *(_answer(state, name) for name in COMMANDS), _deletion(state)] for state in State]
    return notes + "\n" + _table(["state", *COMMANDS, "delete"], rows)


def _answer(state: State, name: str) -> str:
    command = COMMANDS[name]
    after = TRANSITIONS.get((state, command.event))
    if after is not None:
        return f"**{after}**"
    return f"{state}" if state in command.done else f"`{command.refusal.code}`"


def _deletion(state: State) -> str:
    return "**removed**" if state in FINISHED else f"`{NotDeletable.code}`"


def _happenings() -> str:
    live = [state for state in State if any((state, event) in TRANSITIONS for event in HAPPENINGS)]
    rows = [
        [
            f"{words} (`{event}`)",
            *(f"**{TRANSITIONS[state, event]}**" if (state, event) in TRANSITIONS else "" for state in live),
        ]
        for event, words in HAPPENINGS.items()
    ]
    return "## What happens to it\n\n" + _table(["event", *(f"`{state}`" for state in live)], rows)


def _table(heads: list[str], rows: list[list[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _drawing() -> str:
    together: dict[tuple[State, State], list[str]] = {}
    for (state, event), after in TRANSITIONS.items():
        together.setdefault((state, after), []).append(event.value)
    arrows = [f"    {state} --> {after}: {', '.join(events)}\n" for (state, after), events in together.items()]
    return "## The same as a drawing\n\n```mermaid\nstateDiagram-v2\n    [*] --> queued\n" + "".join(arrows) + "```\n"
