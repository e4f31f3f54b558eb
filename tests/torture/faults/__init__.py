"""Single faults with figures: each is one function over a scene, with what its scene needs."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.torture.faults import commands, damage, keeping, killing, messages
from tests.torture.scene import Scene

__all__ = ["FAULTS", "Fault"]


@dataclass(frozen=True)
class Fault:
    play: Callable[[Scene], None]
    needs: dict[str, Any] = field(default_factory=dict)


FAULTS: dict[str, Fault] = {
    "runner20": Fault(killing.runner20),
    "progress": Fault(killing.progress),
    "stopcont": Fault(killing.stopcont),
    "everything": Fault(killing.everything, {"trains": True}),
    "flush": Fault(messages.flush),
    "pair": Fault(messages.pair, {"trains": True}),
    "cancel200": Fault(commands.cancel200),
    "pause20": Fault(commands.pause20),
    "blobflip": Fault(damage.blobflip),
    "diskfull": Fault(damage.diskfull, {"small_disk": True}),
    "backup": Fault(keeping.backup, {"trains": True}),
    "memory2000": Fault(keeping.memory2000),
    "idle": Fault(keeping.idle),
}
