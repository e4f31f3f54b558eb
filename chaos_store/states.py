"""The life of a job as one table: (state, event) -> state."""

from enum import StrEnum

__all__ = ["FINISHED", "LIVE", "TRANSITIONS", "Event", "Kind", "State", "sources"]


class Kind(StrEnum):
    train = "train"
    analyse = "analyse"
    ingest = "ingest"


class State(StrEnum):
    queued = "queued"
    running = "running"
    cancelling = "cancelling"
    succeeded = "succeeded"
    failed = "failed"
    cancelled = "cancelled"


class Event(StrEnum):
    claim = "claim"
    release = "release"
    lose_lease = "lose_lease"
    exhaust = "exhaust"
    cancel = "cancel"
    confirm_cancel = "confirm_cancel"
    succeed = "succeed"
    fail = "fail"


TRANSITIONS: dict[tuple[State, Event], State] = {
    (State.queued, Event.claim): State.running,
    (State.queued, Event.cancel): State.cancelled,
    (State.running, Event.release): State.queued,
    (State.running, Event.lose_lease): State.queued,
    (State.running, Event.exhaust): State.failed,
    (State.running, Event.cancel): State.cancelling,
    (State.running, Event.succeed): State.succeeded,
    (State.running, Event.fail): State.failed,
    (State.cancelling, Event.release): State.cancelled,
    (State.cancelling, Event.lose_lease): State.cancelled,
    (State.cancelling, Event.exhaust): State.cancelled,
    (State.cancelling, Event.confirm_cancel): State.cancelled,
    (State.cancelling, Event.succeed): State.succeeded,
    (State.cancelling, Event.fail): State.cancelled,
}

LIVE = frozenset({State.running, State.cancelling})
FINISHED = frozenset({State.succeeded, State.failed, State.cancelled})


def sources(event: Event) -> dict[State, State]:
    """Each state in which the event may happen, with the state it leads to."""
    return {state: after for (state, happening), after in TRANSITIONS.items() if happening is event}
