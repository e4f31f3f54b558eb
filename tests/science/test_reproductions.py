"""Trainings that must come out as published or better, on series of our own."""

from statistics import median

import numpy as np
import pytest

from chaos_core.analysis import analyse
from chaos_core.errors import Collapsed, Diverged
from chaos_core.fitted import Fitted
from chaos_core.generation import generate
from chaos_core.metrics import d_h, d_stsp
from chaos_core.pipeline import fit
from chaos_core.planning import plan
from chaos_core.series import Series
from chaos_core.spec import Spec
from chaos_core.systems import lorenz63, with_noise
from chaos_core.typing import Floats

ROWS, TRANSIENT = 100_000, 25_000
GENERALIZED = {
    "cell": {"kind": "clipped_shplrnn", "latent": 3, "hidden": 50, "smoothing": 0.0},
    "losses": [],
    "forcing": {"kind": "generalized", "alpha": 0.1},
    "training": {"updates": 15_000, "learning_rate": 1e-3, "learning_rate_end": 3e-4},
}


def sparse(tau: int, length: int, clip: float | None) -> dict[str, object]:
    return {
        "cell": {"kind": "plrnn", "latent": 30},
        "forcing": {"kind": "sparse", "tau": tau, "anneal_from": None},
        "training": {
            "updates": 15_000,
            "sequence_length": length,
            "batch_size": 32,
            "clip_norm": clip,
            "validations": 16,
            "restarts": 0,
        },
        "evaluation": {"preset": "chaosrnn"},
    }


@pytest.fixture(scope="module")
def clean() -> Series:
    return lorenz63(ROWS, 0.01, seed=1)


@pytest.fixture(scope="module")
def noisy(clean: Series) -> Series:
    return with_noise(clean, 0.05, seed=2)


@pytest.fixture(scope="module")
def rho38() -> Series:
    """As in the paper's code: one mean and one standard deviation for all channels."""
    x = lorenz63(ROWS, 0.01, rho=38.0, seed=3).x
    return Series((x - x.mean()) / x.std(), 0.01)


def free_run(fitted: Fitted, rows: int = ROWS) -> Floats:
    return generate(fitted, rows + TRANSIENT)[TRANSIENT:]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("words", [pytest.param({}, id="auto"), pytest.param(GENERALIZED, id="generalized")])
def test_noisy_lorenz_is_learnt_by_every_seed(words: dict[str, object], seed: int, noisy: Series) -> None:
    unseen = lorenz63(ROWS, 0.01, seed=99).x
    run = free_run(fit(noisy, plan(Spec.model_validate(words), analyse(noisy)), seed))
    geometry, spectra = d_stsp(unseen, run, preset="gtf").value, d_h(unseen, run, preset="gtf").value
    assert geometry is not None and geometry <= 1.0
    assert spectra is not None and spectra <= 0.15


def test_the_paper_s_network_learns_lorenz_with_its_interval(rho38: Series) -> None:
    made = plan(Spec.model_validate(sparse(30, 100, None)), analyse(rho38))
    runs = [free_run(fit(rho38, made, seed), 20_000) for seed in range(5)]
    found = [d_stsp(rho38.x[-20_000:], run, preset="chaosrnn").value for run in runs]
    assert median(np.inf if value is None else value for value in found) < 1.0


def test_without_forcing_in_time_it_fails_and_says_so(rho38: Series) -> None:
    made = plan(Spec.model_validate(sparse(200, 400, 0.0)), analyse(rho38))
    with pytest.raises((Diverged, Collapsed)):
        fit(rho38, made)
