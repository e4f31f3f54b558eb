"""The life of a job as one table: (state, event) -> state."""

from enum import StrEnum

__all__ = ["FINISHED", "LIVE", "TRANSITIONS", "Event", "Kind", "State", "sources"]


class Kind(StrEnum):
    train = "train"
    analyse = "analyse"
    ingest = "ingest"
    baseline = "baseline"
    evaluate = "evaluate"


class State(StrEnum):
    queued = "queued"
    running = "running"
    pausing = "pausing"
    paused = "paused"
    cancelling = "cancelling"
    succeeded = "succeeded"
    failed = "failed"
    cancelled = "cancelled"


class Event(StrEnum):
    claim = "claim"
    release = "release"
    lose_lease = "lose_lease"
    exhaust = "exhaust"
    expire = "expire"
    pause = "pause"
    confirm_pause = "confirm_pause"
    resume = "resume"
    cancel = "cancel"
    confirm_cancel = "confirm_cancel"
    succeed = "succeed"
    fail = "fail"
    retry = "retry"


TRANSITIONS: dict[tuple[State, Event], State] = {
    (State.queued, Event.claim): State.running,
    (State.queued, Event.pause): State.paused,
    (State.queued, Event.cancel): State.cancelled,
    (State.queued, Event.expire): State.failed,
    (State.running, Event.release): State.queued,
    (State.running, Event.lose_lease): State.queued,
    (State.running, Event.exhaust): State.failed,
    (State.running, Event.pause): State.pausing,
    (State.running, Event.cancel): State.cancelling,
    (State.running, Event.succeed): State.succeeded,
    (State.running, Event.fail): State.failed,
    (State.pausing, Event.release): State.paused,
    (State.pausing, Event.lose_lease): State.paused,
    (State.pausing, Event.exhaust): State.failed,
    (State.pausing, Event.confirm_pause): State.paused,
    (State.pausing, Event.cancel): State.cancelling,
    (State.pausing, Event.succeed): State.succeeded,
    (State.pausing, Event.fail): State.failed,
    (State.paused, Event.resume): State.queued,
    (State.paused, Event.cancel): State.cancelled,
    (State.paused, Event.expire): State.failed,
    (State.cancelling, Event.release): State.cancelled,
    (State.cancelling, Event.lose_lease): State.cancelled,
    (State.cancelling, Event.exhaust): State.cancelled,
    (State.cancelling, Event.confirm_cancel): State.cancelled,
    (State.cancelling, Event.succeed): State.succeeded,
    (State.cancelling, Event.fail): State.cancelled,
    (State.failed, Event.retry): State.queued,
    (State.cancelled, Event.retry): State.queued,
}

LIVE = frozenset({State.running, State.pausing, State.cancelling})
"""A worker has the job."""

FINISHED = frozenset({State.succeeded, State.failed, State.cancelled})
"""Nothing happens any more unless a client asks for a retry."""


def sources(event: Event) -> dict[State, State]:
    """Each state in which the event may happen, with the state it leads to."""
    return {state: after for (state, happening), after in TRANSITIONS.items() if happening is event}
