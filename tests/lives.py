"""Jobs brought to any state by the statements themselves."""

from collections.abc import Callable
from typing import Any

from sqlalchemy.orm import Session

from chaos_store import commands, jobs
from chaos_store.jobs import Claim
from chaos_store.states import State

PROBLEM = {"code": "diverged", "detail": "The loss is not finite."}


def _ask(session: Session, claim: Claim, command: Callable[..., Any]) -> None:
    command(session, claim.project_id, claim.job_id)


def bring(session: Session, job_id: str, state: State, lease_s: float = 100.0) -> Claim:
    """Takes a queued job to the state; its newest claim."""
    claim = jobs.claim(session, job_id, "w", lease_s)
    assert claim is not None
    if state in (State.pausing, State.paused):
        _ask(session, claim, commands.request_pause)
    if state in (State.cancelling, State.cancelled):
        _ask(session, claim, commands.request_cancel)
    ends: dict[State, Callable[[Session, Claim], Any]] = {
        State.queued: jobs.release,
        State.paused: jobs.confirm_pause,
        State.cancelled: jobs.confirm_cancel,
        State.succeeded: jobs.succeed,
        State.failed: lambda session, claim: jobs.fail(session, claim, PROBLEM),
    }
    if state in ends:
        ends[state](session, claim)
    return claim
