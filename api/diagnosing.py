"""The diagnosis of a trained model: made in a thread, on numpy and native code, within bounds."""

from collections.abc import Mapping
from typing import Any

from chaos_core.diagnostics import diagnose, usual_steps, work_of
from chaos_core.errors import TooLarge
from chaos_core.fitted import Fitted

from .schemas.diagnostics import DiagnosisCreate, DiagnosisOut

MAX_WORK = 50_000_000_000
"""Ten seconds, roughly."""
USUAL_GROWTH_STEPS = 100


def diagnosed(fitted: Fitted, model_id: str, body: DiagnosisCreate, plan: Mapping[str, Any] | None) -> DiagnosisOut:
    size = fitted.cell.state_size
    steps = usual_steps(size) if body.steps is None else body.steps
    growth = body.growth_steps or _interval(plan) or USUAL_GROWTH_STEPS
    work = work_of(size, steps, body.runs, growth)
    if work > MAX_WORK:
        detail = f"state^3 * (runs * steps + ...): {work}, at most {MAX_WORK}; give fewer steps or runs"
        raise TooLarge(detail, value=work, limit=MAX_WORK)
    found = diagnose(fitted, steps=steps, runs=body.runs, growth_steps=growth)
    return DiagnosisOut(model_id=model_id, dt=fitted.dt, **dict(found))


def _interval(plan: Mapping[str, Any] | None) -> int | None:
    """The forcing interval of the training."""
    tau = ((plan or {}).get("forcing") or {}).get("tau")
    return tau if isinstance(tau, int) else None
