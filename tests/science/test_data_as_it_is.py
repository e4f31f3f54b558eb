"""Trials, gaps and drives: each trains to scores within a factor of 2 of the clean, whole case."""

from statistics import median

import numpy as np
import pytest

from chaos_core.analysis import analyse
from chaos_core.fitted import Fitted
from chaos_core.generation import generate
from chaos_core.metrics import d_h, d_stsp
from chaos_core.pipeline import evaluate, fit
from chaos_core.planning import plan
from chaos_core.series import Series
from chaos_core.spec import Spec
from chaos_core.systems import lorenz63, system

SPLIT = {"train": 0.9, "validation": 0.1, "test": 0.0}
TRAINING = {"updates": 20_000, "restarts": 0}
SEEDS = range(3)
ROWS = 20_000


def trained(series: Series, seed: int, **parts: object) -> Fitted:
    words = {"split": SPLIT, "training": TRAINING, **parts}
    return fit(series, plan(Spec.model_validate(words), analyse(series)), seed)


def scored(series: Series) -> tuple[float, float]:
    """Medians over the seeds of D_stsp and D_H against a run of the system that nothing has seen."""
    test, found = lorenz63(ROWS, seed=99), []
    for seed in SEEDS:
        scores = evaluate(trained(series, seed), test)
        assert scores.d_stsp.value is not None and scores.d_h.value is not None
        found.append((scores.d_stsp.value, scores.d_h.value))
    return median(one for one, _ in found), median(two for _, two in found)


@pytest.fixture(scope="module")
def whole() -> tuple[float, float]:
    return scored(lorenz63(ROWS))


def holes(share: float) -> Series:
    series = lorenz63(ROWS)
    x = series.x.copy()
    x[np.random.default_rng(0).random(x.shape) < share] = np.nan
    return Series(x, series.dt, names=series.names, missing="mask")


def trials() -> Series:
    return Series.joined([lorenz63(rows, seed=10 + i) for i, rows in enumerate((2000, 3000, 4000, 5000, 6000))])


@pytest.mark.parametrize("made", [trials, lambda: holes(0.2)], ids=["five trials", "a fifth missing"])
def test_trials_and_gaps_cost_less_than_a_factor_of_two(whole: tuple[float, float], made: object) -> None:
    found = scored(made())
    print(f"D_stsp {found[0]:.3f}, D_H {found[1]:.3f}; whole {whole[0]:.3f}, {whole[1]:.3f}")
    assert found[0] < 2 * whole[0]
    assert found[1] < 2 * whole[1]


def test_a_driven_oscillator_is_learnt_from_its_drive_as_well_as_from_the_phase_of_it() -> None:
    """Duffing's x and v with the force as input, against the same with cosine and sine of the phase as channels."""
    driven, unseen = (system("duffing", force_known=True, seed=seed).generate(ROWS) for seed in (0, 7))

    def with_phase(series: Series) -> Series:
        phase = 0.1 * np.arange(series.length)
        return Series(np.column_stack([series.x, np.cos(phase), np.sin(phase)]), 0.1, names=("x", "v", "c", "s"))

    shallow = {"kind": "shplrnn", "hidden": 50}
    one = trained(driven, 0, cell=shallow, embedding={"dim": 1}, training={"updates": 8000})
    two = trained(with_phase(driven), 0)
    run = generate(one, ROWS - 1, unseen.x[0], unseen.inputs[1:])[2000:]
    free = generate(two, ROWS - 1, with_phase(unseen).x[0])[2000:, :2]
    found = [(d_stsp(unseen.x, x).value, d_h(unseen.x, x).value) for x in (run, free)]
    print(f"driven: D_stsp, D_H {found[0]}; with phase {found[1]}")
    assert all(value is not None for pair in found for value in pair)
    assert found[0][0] < 2 * found[1][0]
    assert found[0][1] < 2 * found[1][1]
