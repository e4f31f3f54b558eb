"""`python -m worker.runner`: imports everything, waits for one job folder, does that job and ends."""

from .lifeline import Lifeline

LIFELINE = Lifeline()

from pathlib import Path  # noqa: E402 - the imports below take seconds, and the lifeline must hold meanwhile

import torch  # noqa: E402

import chaos_core.torch_engine  # noqa: E402, F401 - so that a training in torch starts at once

from ..protocol import EXIT_INTERRUPTED, Ready  # noqa: E402
from .channel import Channel, Interrupted  # noqa: E402
from .kinds import LIGHT_WORK  # noqa: E402
from .lines import set_up  # noqa: E402
from .train import train_job  # noqa: E402
from .work import do, leave, private_stdout  # noqa: E402

KINDS = {**LIGHT_WORK, "train": train_job}


def main() -> int:
    channel = Channel(private_stdout())
    set_up()
    torch.set_num_threads(1)
    channel.send(Ready())
    assignment = LIFELINE.assignment()
    try:
        channel.listen()
        return do(Path(assignment.folder), channel, KINDS, (MemoryError, torch.OutOfMemoryError))
    except Interrupted:
        return EXIT_INTERRUPTED


if __name__ == "__main__":
    leave(main())
