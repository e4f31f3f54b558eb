"""What every forcing scheme must do; a new file in chaos_core/forcing is tested by itself."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from scipy.linalg import expm, logm

from chaos_core import forcing
from chaos_core.forcing import FORCINGS, AnyForcing, AnyForcingSpec, Forcing
from chaos_core.forcing.adaptive import AdaptiveGeneralized, spectral_norms
from chaos_core.forcing.base import Slopes, annealed
from chaos_core.forcing.generalized import Generalized
from chaos_core.forcing.identity import Identity
from chaos_core.forcing.none import NoForcing
from chaos_core.forcing.sparse import Sparse
from chaos_core.forcing.windowed import Windowed

SPECS = TypeAdapter(AnyForcingSpec)


def filled(suggestion: int = 25, **words: object) -> Forcing:
    return forcing.fill(SPECS.validate_python(words), tau=suggestion)


VARIANTS: list[dict[str, object]] = [
    *({"kind": kind} for kind in sorted(FORCINGS)),
    {"kind": "sparse", "units": (0,)},
    {"kind": "generalized", "units": (0,)},
    {"kind": "generalized", "alpha": 0.0},
]


@pytest.fixture(params=VARIANTS, ids=lambda words: "-".join(map(str, words.values())))
def scheme(request: pytest.FixtureRequest) -> Forcing:
    return filled(**request.param)


@pytest.mark.parametrize("progress", [0.0, 0.3, 0.6, 0.999])
@pytest.mark.parametrize(("steps", "latent", "observed"), [(1, 1, 1), (7, 3, 3), (200, 5, 2), (3, 2, 5)])
def test_a_mask_has_a_weight_between_0_and_1_for_each_step_and_unit(
    scheme: Forcing, steps: int, latent: int, observed: int, progress: float
) -> None:
    alpha = scheme.mask(steps, latent, observed, progress, np.random.default_rng(0))
    assert alpha.shape == (steps, latent)
    assert alpha.dtype == np.float64
    assert ((alpha >= 0) & (alpha <= 1)).all()
    assert (alpha[0] == 1).all()


def test_the_same_randomness_gives_the_same_mask(scheme: Forcing) -> None:
    first, second = (scheme.mask(50, 4, 2, 0.4, np.random.default_rng(1)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_schemes_that_force_the_whole_state_have_rows_of_zeros_and_ones_only(scheme: Forcing) -> None:
    alpha = scheme.mask(50, 4, 2, 0.4, np.random.default_rng(1))
    pure = ((alpha == 0).all(1) | (alpha == 1).all(1)).all()
    assert pure or not scheme.whole_state
    assert scheme.whole_state or not pure or isinstance(scheme, AdaptiveGeneralized)


def test_an_interval_is_the_distance_between_forced_rows(scheme: Forcing) -> None:
    for progress in (0.0, 0.2, 0.9):
        tau = scheme.interval(progress)
        if tau is not None:
            rows = np.flatnonzero(scheme.mask(100, 3, 2, progress, np.random.default_rng())[:, 0] == 1)
            assert set(np.diff(rows)) == {tau}


def test_a_scheme_states_its_source(scheme: Forcing) -> None:
    assert "doi:" in scheme.citation or "arXiv:" in scheme.citation


def test_settings_survive_json_and_come_back_as_the_same_class(scheme: Forcing) -> None:
    text = scheme.model_dump_json()
    assert TypeAdapter(AnyForcing).validate_json(text) == scheme
    assert SPECS.validate_json(text).model_dump() == scheme.model_dump()


def test_an_interval_left_to_the_planner_is_annealed_from_2() -> None:
    sparse = Sparse(tau=25, anneal_from=2, anneal_share=0.6)
    assert filled(kind="sparse") == filled(kind="sparse", tau="auto", anneal_from="auto") == sparse
    assert filled(kind="identity") == Identity(tau=25, anneal_from=2)


def test_an_interval_that_the_client_gives_stays_fixed_unless_he_asks_for_more() -> None:
    assert filled(kind="sparse", tau=7) == Sparse(tau=7)
    assert filled(kind="sparse", tau=7, anneal_from=3) == Sparse(tau=7, anneal_from=3)
    assert filled(kind="sparse", anneal_from=None) == Sparse(tau=25)
    assert filled(kind="sparse", anneal_from=5, anneal_share=0.2) == Sparse(tau=25, anneal_from=5, anneal_share=0.2)


@pytest.mark.parametrize("tau", [1, 2])
def test_an_interval_of_one_or_two_steps_is_not_annealed(tau: int) -> None:
    assert filled(tau, kind="sparse") == Sparse(tau=tau)


def test_the_interval_grows_over_the_first_share_of_the_run_and_then_stays() -> None:
    sparse = Sparse(tau=26, anneal_from=2, anneal_share=0.6)
    assert [sparse.interval(progress) for progress in (0.0, 0.15, 0.3, 0.6, 0.99)] == [2, 8, 14, 26, 26]


@given(
    st.integers(1, 500), st.none() | st.integers(1, 500), st.floats(0.01, 1.0), st.floats(0, 0.999), st.floats(0, 0.999)
)
def test_an_annealed_interval_never_leaves_its_two_ends_and_moves_one_way(
    tau: int, start: int | None, share: float, early: float, late: float
) -> None:
    first, last = (annealed(tau, start, share, progress) for progress in sorted((early, late)))
    low, high = sorted((tau, start or tau))
    assert low <= first <= high
    assert low <= last <= high
    assert abs(tau - last) <= abs(tau - first)


def test_sparse_forcing_replaces_the_whole_state_on_every_tau_th_row() -> None:
    alpha = Sparse(tau=3).mask(7, 2, 1, 0.0, np.random.default_rng())
    np.testing.assert_array_equal(alpha, np.repeat([[1], [0], [0], [1], [0], [0], [1]], 2, axis=1))


def test_identity_forcing_leaves_hidden_units_alone_after_the_start() -> None:
    alpha = Identity(tau=2).mask(4, 3, 2, 0.0, np.random.default_rng())
    np.testing.assert_array_equal(alpha, [[1, 1, 1], [0, 0, 0], [1, 1, 0], [0, 0, 0]])


def test_generalized_forcing_is_the_same_at_each_step_after_the_start() -> None:
    alpha = Generalized(alpha=0.25).mask(4, 2, 2, 0.5, np.random.default_rng())
    np.testing.assert_array_equal(alpha, [[1, 1]] + 3 * [[0.25, 0.25]])
    assert Generalized(alpha=1.0).whole_state
    assert Generalized(alpha=0.0).whole_state


def test_units_that_are_not_named_are_never_forced() -> None:
    alpha = Sparse(tau=2, units=(1,)).mask(4, 3, 2, 0.0, np.random.default_rng())
    np.testing.assert_array_equal(alpha, [[1, 1, 1], [0, 0, 0], [0, 1, 0], [0, 0, 0]])
    assert not Sparse(tau=2, units=(1,)).whole_state


def test_jitter_draws_each_interval_evenly_around_tau() -> None:
    """The notebook of Mikhaeil et al. (2022): one interval a batch, from tau - d to tau + d, at least 1."""
    rng = np.random.default_rng(0)
    masks = [Sparse(tau=5, jitter=2).mask(40, 1, 1, 0.0, rng) for _ in range(2000)]
    drawn = np.array([np.flatnonzero(mask[1:, 0])[0] + 1 for mask in masks])
    values, counts = np.unique(drawn, return_counts=True)
    assert values.tolist() == [3, 4, 5, 6, 7]
    assert (np.abs(counts - 400) < 100).all()
    small = [Sparse(tau=2, jitter=9).mask(40, 1, 1, 0.0, rng) for _ in range(50)]
    assert all(mask[:12, 0].sum() >= 2 for mask in small)


def test_a_windowed_state_restarts_from_zero_where_sparse_forcing_uses_the_data() -> None:
    rng = np.random.default_rng()
    np.testing.assert_array_equal(Windowed(tau=3).mask(7, 2, 1, 0.0, rng), Sparse(tau=3).mask(7, 2, 1, 0.0, rng))
    assert (Windowed.target, Sparse.target) == ("zero", "data")


def jacobians() -> np.ndarray:
    return np.random.default_rng(3).standard_normal((2, 5, 3, 3)) + 2 * np.eye(3)


def by_source(estimate: str, j: np.ndarray) -> float:
    """Hess et al. (2023), appendix: written out with singular values and matrix functions, sequence by sequence."""
    norm = np.linalg.svd(j, compute_uv=False)[..., 0]
    if estimate == "product_upper_bound":
        return max(float(np.prod(row) ** (1 / len(row))) for row in norm)
    if estimate == "arithmetic_mean":
        return max(float(np.linalg.svd(row.mean(0), compute_uv=False)[0]) for row in j)
    if estimate == "batch_maximum":
        return float(norm.max())
    logs = [np.mean([logm(one) for one in row], axis=0) for row in j]
    return max(float(np.linalg.svd(expm(log), compute_uv=False)[0]) for log in logs)


@pytest.mark.parametrize(
    "estimate", ["product_upper_bound", "arithmetic_mean", "batch_maximum", "explog_approximation"]
)
def test_each_estimate_of_the_jacobian_norm_is_the_one_of_the_source(estimate: str) -> None:
    j = jacobians()
    scheme = AdaptiveGeneralized(alpha=0.0, estimate=estimate)
    after = scheme.after_batch(5, Slopes(jacobians=lambda: j, bound=lambda: np.nan))
    assert after.alpha == pytest.approx(1 - 1 / by_source(estimate, j), rel=1e-3)
    assert scheme.after_batch(4, Slopes(jacobians=lambda: j, bound=lambda: np.nan)) is scheme


def test_the_strength_rises_at_once_and_falls_slowly() -> None:
    scheme = AdaptiveGeneralized(alpha=0.5, estimate="jacobian_upper_bound", decay=0.9)
    slopes = [Slopes(jacobians=jacobians, bound=lambda bound=bound: bound) for bound in (5.0, 0.5, np.inf)]
    assert scheme.after_batch(5, slopes[0]).alpha == pytest.approx(0.8)
    assert scheme.after_batch(5, slopes[1]).alpha == pytest.approx(0.45)
    assert scheme.after_batch(5, slopes[2]).alpha == 0.5


def test_power_iteration_gives_the_largest_singular_value() -> None:
    matrices = np.random.default_rng(1).standard_normal((200, 6, 6))
    expected = np.linalg.svd(matrices, compute_uv=False)[:, 0]
    np.testing.assert_allclose(spectral_norms(matrices), expected, rtol=2e-2)
    assert np.median(np.abs(spectral_norms(matrices) / expected - 1)) < 1e-3
    np.testing.assert_array_equal(spectral_norms(np.zeros((2, 3, 3))), np.zeros(2))


def test_without_forcing_only_the_start_is_on_the_data() -> None:
    alpha = NoForcing().mask(4, 2, 2, 0.5, np.random.default_rng())
    assert alpha.sum() == alpha[0].sum() == 2


@pytest.mark.parametrize(
    "words",
    [
        {"kind": "dense"},
        {"kind": "sparse", "tau": 0},
        {"kind": "sparse", "tau": 2.5},
        {"kind": "sparse", "interval": 3},
        {"kind": "sparse", "anneal_share": 0},
        {"kind": "generalized", "alpha": 1.5},
        {"kind": "sparse", "units": [-1]},
        {"kind": "sparse", "jitter": -2},
        {"kind": "adaptive_generalized", "estimate": "guess"},
        {"kind": "none", "tau": 3},
    ],
)
def test_a_spec_with_a_wrong_word_is_refused(words: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        SPECS.validate_python(words)
