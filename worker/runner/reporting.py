"""What is told of a training while it runs: a sample of its steps, chosen by their number alone."""

import math
import time
from pathlib import Path

from chaos_core.training import REPORTS, Step, Trainer, Validated

from ..protocol import CheckpointSaved, Measurement, Progress
from .channel import Channel

FLUSH_S = 0.25


class Reporter:
    def __init__(self, channel: Channel, trainer: Trainer) -> None:
        self._channel = channel
        self._trainer = trainer
        self._every = math.ceil(trainer.plan.training.updates / REPORTS)
        self._pending: list[Measurement] = []
        self._update = trainer.update
        self._told = False
        self._saved = 0
        self._flush_at = 0.0

    def hear(self, event: Step | Validated) -> None:
        self._update = event.update
        if isinstance(event, Validated):
            self._measure(event.update, d_stsp=event.d_stsp, d_h=event.d_h)
        elif event.update % self._every == 0 or event.update in (1, self._trainer.total):
            self._measure(
                event.update,
                loss=event.loss,
                gradient_norm=event.gradient_norm,
                learning_rate=event.learning_rate,
                forcing_interval=event.interval,
            )
        if not self._told or time.monotonic() >= self._flush_at:
            self.flush()

    def flush(self) -> None:
        self._channel.send(Progress(update=self._update, total=self._trainer.total, metrics=tuple(self._pending)))
        self._pending = []
        self._told = True
        self._flush_at = time.monotonic() + FLUSH_S

    def save(self, folder: Path) -> None:
        """A new file each time: the supervisor takes it away when it is stored."""
        self._saved += 1
        file = f"checkpoint-{self._saved}"
        part = folder / f"{file}.part"
        part.write_bytes(self._trainer.checkpoint())
        part.rename(folder / file)
        self._channel.send(CheckpointSaved(file=file, update=self._trainer.update))

    def _measure(self, update: int, **values: float | None) -> None:
        for name, value in values.items():
            if value is not None and math.isfinite(value):
                self._pending.append(Measurement(name=name, step=update, value=value))
