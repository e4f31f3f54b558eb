"""`python -m worker.runner.light`: light jobs one after another, without torch, until the pipe ends or one fails."""

from .lifeline import Lifeline

LIFELINE = Lifeline()

from pathlib import Path  # noqa: E402 - the imports below take a second, and the lifeline must hold meanwhile

from ..protocol import EXIT_DONE, EXIT_INTERRUPTED, Done, Ready  # noqa: E402
from .channel import Channel, Interrupted  # noqa: E402
from .kinds import LIGHT_WORK  # noqa: E402
from .lines import set_up  # noqa: E402
from .work import do, leave, private_stdout  # noqa: E402


def main() -> int:
    channel = Channel(private_stdout())
    set_up()
    channel.send(Ready())
    try:
        while True:
            assignment = LIFELINE.assignment()
            channel.listen()
            code = do(Path(assignment.folder), channel, LIGHT_WORK)
            if code != EXIT_DONE:
                return code
            channel.send(Done())
    except Interrupted:
        return EXIT_INTERRUPTED


if __name__ == "__main__":
    leave(main())
