"""What is told of a training while it runs: a sample of its steps, chosen by their number alone."""

import logging
import math
import time
from pathlib import Path

from chaos_core.training import REPORTS, Step, Trainer, Validated

from ..protocol import CheckpointSaved, Measurement, Progress
from .channel import Channel
from .modelfile import write_model
from .work import NO_ROOM
from .writing import write_whole

FLUSH_S = 0.25

log = logging.getLogger(__name__)


class Reporter:
    """Steps are counted within the present attempt of the training, so that each attempt is told of alike."""

    def __init__(self, channel: Channel, trainer: Trainer, folder: Path) -> None:
        self._channel = channel
        self._trainer = trainer
        self._folder = folder
        self._updates = trainer.plan.training.updates
        self._every = math.ceil(self._updates / REPORTS)
        self._pending: list[Measurement] = []
        self._update = trainer.update
        self._told = False
        self._saved = 0
        self._unsaved = False
        self._flush_at = 0.0

    def hear(self, event: Step | Validated) -> None:
        self._update, self._unsaved = event.update, True
        done = event.update - self._trainer.attempt * self._updates
        if isinstance(event, Validated):
            self._measure(event.update, d_stsp=event.d_stsp, d_h=event.d_h)
            if event.best and event.d_stsp is not None and event.d_h is not None:
                log.info("update %d is the best so far: D_stsp %.3g, D_H %.3g", event.update, event.d_stsp, event.d_h)
        elif done % self._every == 0 or done in (1, self._updates):
            self._measure(
                event.update,
                loss=event.loss,
                gradient_norm=event.gradient_norm,
                learning_rate=event.learning_rate,
                forcing_interval=event.interval,
            )
        if not self._told or time.monotonic() >= self._flush_at:
            self._flush()

    def save(self, *, best: bool = False) -> None:
        """What was measured, then the state, with its model where it is the best so far.

        A disk without room leaves the training with the state saved before.
        """
        self._flush()
        if not self._unsaved:
            return
        self._saved += 1
        file = f"checkpoint-{self._saved}"
        try:
            write_whole(self._folder / file, self._trainer.checkpoint())
            model = write_model(self._folder, self._trainer.fitted(), file=f"{file}-model") if best else None
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            (self._folder / file).unlink(missing_ok=True)
            log.warning("no room for the checkpoint at update %d: %s", self._trainer.update, error)
            return
        self._unsaved = False
        self._channel.send(CheckpointSaved(file=file, update=self._trainer.update, best=best, model=model))

    def _flush(self) -> None:
        self._channel.send(Progress(update=self._update, total=self._trainer.total, metrics=tuple(self._pending)))
        self._pending = []
        self._told = True
        self._flush_at = time.monotonic() + FLUSH_S

    def _measure(self, update: int, **values: float | None) -> None:
        for name, value in values.items():
            if value is not None and math.isfinite(value):
                self._pending.append(Measurement(name=name, step=update, value=value))
