"""Many trainings side by side are the trainings that `fit` does one by one, and none depends on how it is cut."""

import numpy as np
import pytest

from chaos_core.analysis import Analysis
from chaos_core.errors import ChaosError, Diverged
from chaos_core.fitted import Fitted
from chaos_core.pipeline import fit, fit_many
from chaos_core.planning import plan
from chaos_core.series import Series
from chaos_core.spec import Plan, Spec
from chaos_core.training import Trainer

TRAINING = {"updates": 300, "sequence_length": 20, "batch_size": 4, "validations": 2, "restarts": 0}


def made(analysis: Analysis, tau: int = 5, **training: object) -> Plan:
    words = {
        "cell": {"kind": "clipped_shplrnn", "hidden": 8},
        "forcing": {"kind": "sparse", "tau": tau, "jitter": 1},
        "training": TRAINING | training,
    }
    return plan(Spec.model_validate(words), analysis)


def wild(analysis: Analysis) -> Plan:
    """Steps of 1 take a memory so far above 1 that a window overflows."""
    return made(analysis, tau=500, learning_rate=1.0, sequence_length=200)


def outcome(trained: Fitted | ChaosError) -> object:
    if isinstance(trained, ChaosError):
        return type(trained), trained.detail
    return {name: value.tobytes() for name, value in trained.params.items()}


def attempt(series: Series, plan: Plan, seed: int) -> Fitted | ChaosError:
    try:
        return fit(series, plan, seed)
    except ChaosError as error:
        return error


@pytest.mark.parametrize("threads", [1, 2, None])
def test_each_of_many_is_the_one_alone_to_the_last_bit(series: Series, analysis: Analysis, threads: int | None) -> None:
    plans = [made(analysis, tau, learning_rate=rate) for tau in (3, 9) for rate in (1e-3, 5e-3)]
    found = fit_many(series, plans, range(4), threads=threads)
    assert [outcome(one) for one in found] == [outcome(attempt(series, p, i)) for i, p in enumerate(plans)]


def test_a_training_that_diverges_is_in_the_result_and_ends_no_other(series: Series, analysis: Analysis) -> None:
    found = fit_many(series, [wild(analysis), made(analysis)], [0, 0])
    assert isinstance(found[0], Diverged)
    assert outcome(found[1]) == outcome(attempt(series, made(analysis), 0))


def test_plans_and_seeds_must_be_equally_many(series: Series, analysis: Analysis) -> None:
    with pytest.raises(ValueError, match="1 plans and 2 seeds"):
        fit_many(series, [made(analysis)], [0, 1])


def test_how_many_updates_a_call_makes_changes_nothing(series: Series, analysis: Analysis) -> None:
    states = []
    for at_once in (1, 7, 64):
        trainer = Trainer(series, made(analysis), 0)
        trainer._engine.at_once = at_once
        try:
            for _ in trainer:
                pass
        except ChaosError:
            pass
        states.append((trainer.update, [part.tobytes() for part in trainer._engine.arrays()]))
    assert states[0] == states[1] == states[2]


def test_a_divergence_is_told_at_the_update_at_which_it_happened(series: Series, analysis: Analysis) -> None:
    told = []
    for at_once in (1, 64):
        trainer = Trainer(series, wild(analysis), 0)
        trainer._engine.at_once = at_once
        with pytest.raises(ChaosError) as error:
            list(trainer)
        told.append((type(error.value), error.value.detail, trainer.update))
    assert told[0] == told[1]
    assert np.isfinite(told[0][2])
