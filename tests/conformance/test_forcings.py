"""What every forcing scheme must do; a new file in chaos_core/forcing is tested by itself."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from chaos_core import forcing
from chaos_core.forcing import FORCINGS, AnyForcing, AnyForcingSpec, Forcing
from chaos_core.forcing.base import annealed
from chaos_core.forcing.generalized import Generalized
from chaos_core.forcing.identity import Identity
from chaos_core.forcing.none import NoForcing
from chaos_core.forcing.sparse import Sparse

SPECS = TypeAdapter(AnyForcingSpec)


def filled(suggestion: int = 25, **words: object) -> Forcing:
    return forcing.fill(SPECS.validate_python(words), tau=suggestion)


@pytest.fixture(params=sorted(FORCINGS))
def scheme(request: pytest.FixtureRequest) -> Forcing:
    return filled(kind=request.param)


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
    assert pure == scheme.whole_state


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
        {"kind": "none", "tau": 3},
    ],
)
def test_a_spec_with_a_wrong_word_is_refused(words: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        SPECS.validate_python(words)
