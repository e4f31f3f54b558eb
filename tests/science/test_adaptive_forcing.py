"""Adaptive generalized forcing finds a strength that works, where no forcing and full forcing do not."""

import pytest

from chaos_core.analysis import Analysis, analyse
from chaos_core.errors import Collapsed, Diverged, Exploded
from chaos_core.pipeline import evaluate
from chaos_core.planning import plan
from chaos_core.series import Series
from chaos_core.spec import Spec
from chaos_core.systems import lorenz63, with_noise
from chaos_core.training import Trainer

DEAD = 20.0
"""Stands in for the D_stsp of a training without a living state."""


@pytest.fixture(scope="module")
def series() -> Series:
    return with_noise(lorenz63(30_000, 0.01, seed=1), 0.05, seed=2)


@pytest.fixture(scope="module")
def analysis(series: Series) -> Analysis:
    return analyse(series)


def distance(series: Series, analysis: Analysis, forcing: dict[str, object], seed: int) -> tuple[float, float | None]:
    """D_stsp of one training, and alpha at its end."""
    training = {"updates": 20_000, "sequence_length": 200, "batch_size": 16, "validations": 16, "restarts": 0}
    cell = {"kind": "clipped_shplrnn", "hidden": 50, "smoothing": 0.0}
    words = {"cell": cell, "losses": [], "forcing": forcing, "training": training}
    trainer = Trainer(series, plan(Spec.model_validate(words), analysis), seed)
    try:
        for _ in trainer:
            pass
    except (Collapsed, Diverged, Exploded):
        return DEAD, getattr(trainer._forcing, "alpha", None)
    found = evaluate(trainer.fitted(), series.split()[2]).d_stsp.value
    return DEAD if found is None else found, getattr(trainer._forcing, "alpha", None)


def test_a_strength_that_follows_the_jacobians_beats_none_and_all(series: Series, analysis: Analysis) -> None:
    """Hess et al. (2023): alpha = 0 explodes, alpha = 1 learns single steps only; in between lies the optimum.

    Medians of three seeds, since one seed moves by half with the rounding of the kernel (1.20 and 1.70). The estimate
    arithmetic_mean came to 1.04 after 8000 updates and to 2.62 after 20 000 (alpha 0.062, one seed), so this holds for
    the default estimate and not for each.
    """
    schemes = (
        {"kind": "generalized", "alpha": 0.0},
        {"kind": "generalized", "alpha": 1.0},
        {"kind": "adaptive_generalized"},
    )
    found = [[distance(series, analysis, scheme, seed) for seed in range(3)] for scheme in schemes]
    none, full, adaptive = (sorted(value for value, _ in runs) for runs in found)
    alphas = [alpha for _, alpha in found[-1]]
    print(f"D_stsp {adaptive} at alpha {alphas}; none {none}, full {full}")
    assert all(alpha is not None and 0.0 < alpha < 0.6 for alpha in alphas)
    assert adaptive[1] < 0.5 * min(none[1], full[1])
