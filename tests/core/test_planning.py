import math

import pytest

from chaos_core.analysis import Analysis, Verdict, analyse
from chaos_core.cells.plrnn import PLRNN
from chaos_core.cells.shplrnn import ClippedShPLRNN
from chaos_core.errors import Inconsistent, SpecTooLarge, TooShort
from chaos_core.forcing.sparse import Sparse
from chaos_core.losses.jacobian import JacobianMatching
from chaos_core.observation import IdentityObservation, LinearObservation
from chaos_core.planning import plan
from chaos_core.spec import Spec
from chaos_core.systems import lorenz63

LN2 = math.log(2)


@pytest.fixture(scope="module")
def chaotic() -> Analysis:
    ends = {"lambda_low_per_step": 0.8 * LN2 / 77, "lambda_high_per_step": 1.2 * LN2 / 77}
    facts = {"lambda_max_per_step": LN2 / 77, "predictability_time_steps": 77.0, "tau": 77, "length": 100_000, **ends}
    return analyse(lorenz63(4000)).model_copy(update={**facts, "verdict": Verdict.CHAOTIC})


@pytest.fixture(scope="module")
def periodic(chaotic: Analysis) -> Analysis:
    facts = {"verdict": Verdict.PERIODIC, "predictability_time_steps": None, "tau": None, "fallback_tau": 9}
    return chaotic.model_copy(update=facts)


def spec(**parts: object) -> Spec:
    return Spec.model_validate(parts)


def test_all_auto_forces_sparsely_up_to_a_third_of_the_predictability_time(chaotic: Analysis) -> None:
    made = plan(spec(), chaotic)
    assert made.forcing == Sparse(tau=26, anneal_from=2, anneal_share=0.6)
    assert made.interval.predictability_time_steps == 77.0
    assert made.interval.source == "lambda_max"
    assert made.interval.factor == pytest.approx(26 / 77)
    assert "60%" in made.interval.schedule
    assert made.interval.why == (
        "ln 2 / lambda_max = 77.0 steps; a clipped_shplrnn learns best with up to 26 steps between forced states"
    )
    assert made.cell.model_dump()["kind"] == "clipped_shplrnn"
    assert made.observation == IdentityObservation()


@pytest.mark.parametrize(
    ("cell", "time", "tau"),
    [
        ("clipped_shplrnn", 77.0, 26), ("clipped_shplrnn", 12.0, 4), ("clipped_shplrnn", 0.4, 1),
        ("plrnn", 77.0, 26), ("plrnn", 36.0, 12), ("plrnn", 20.0, 12), ("plrnn", 12.0, 8), ("plrnn", 0.4, 1),
    ],
)  # fmt: skip
def test_the_interval_is_the_one_that_the_cell_suggests(chaotic: Analysis, cell: str, time: float, tau: int) -> None:
    made = plan(spec(cell={"kind": cell}), chaotic.model_copy(update={"predictability_time_steps": time}))
    assert made.interval.tau == made.forcing.model_dump()["tau"] == tau
    assert made.interval.factor == pytest.approx(tau / time)


def test_data_without_chaos_take_the_fallback_and_say_so(periodic: Analysis) -> None:
    made = plan(spec(), periodic)
    assert made.forcing.model_dump()["tau"] == 9
    assert made.interval.source == "fallback"
    assert made.interval.predictability_time_steps is None
    assert any("fallback" in note and "periodic" in note for note in made.notes)


def test_an_interval_that_the_client_names_stays_fixed(chaotic: Analysis) -> None:
    made = plan(spec(forcing={"kind": "sparse", "tau": 200}, training={"sequence_length": 400}), chaotic)
    assert made.forcing == Sparse(tau=200, anneal_from=None)
    assert made.interval.source == "client"
    assert made.training.clip_norm is None


def test_a_chaotic_state_is_learnt_by_smooth_units_and_with_the_slopes_of_the_data(chaotic: Analysis) -> None:
    made = plan(spec(), chaotic)
    assert made.cell.model_dump()["smoothing"] == 0.1
    assert made.losses == (JacobianMatching(),)


@pytest.mark.parametrize(
    "parts",
    [
        {"losses": []}, {"cell": {"kind": "plrnn"}}, {"embedding": {"dim": 3, "lag": 5}},
        {"cell": {"kind": "clipped_shplrnn", "latent": 5}},
    ],
    ids=["none asked for", "another cell", "delay coordinates", "hidden units"],
)  # fmt: skip
def test_elsewhere_no_term_is_added_to_the_error(chaotic: Analysis, parts: dict[str, object]) -> None:
    assert plan(spec(**parts), chaotic).losses == ()


def test_slopes_are_not_asked_for_without_chaos_with_a_drive_or_an_unsure_map(
    periodic: Analysis, chaotic: Analysis
) -> None:
    assert plan(spec(), periodic).losses == ()
    assert plan(spec(), chaotic.model_copy(update={"input_names": ("u",)})).losses == ()
    ends = {"lambda_low_per_step": 0.1 * LN2 / 77, "lambda_high_per_step": 1.9 * LN2 / 77}
    assert plan(spec(), chaotic.model_copy(update=ends)).losses == ()


def test_delay_coordinates_keep_the_sharp_unit(chaotic: Analysis) -> None:
    assert plan(spec(embedding={"dim": 3, "lag": 5}), chaotic).cell.model_dump()["smoothing"] == 0.0


def test_what_the_client_chose_is_kept(chaotic: Analysis) -> None:
    words = {"updates": 15000, "batch_size": 32, "optimiser": "adam", "learning_rate_end": 1e-3, "clip_norm": 10}
    made = plan(spec(cell={"kind": "plrnn", "latent": 30}, training=words), chaotic)
    kept = made.training.model_dump(mode="json")
    assert {name: kept[name] for name in words} == words
    assert made.cell == PLRNN(latent=30)
    assert made.observation == LinearObservation()


@pytest.mark.parametrize(("updates", "end"), [(5_000, 3e-4), (15_000, 3e-4), (30_000, 3e-5), (100_000, 1e-5)])
def test_short_trainings_decay_less(chaotic: Analysis, updates: int, end: float) -> None:
    made = plan(spec(training={"updates": updates}), chaotic)
    assert made.training.learning_rate_end == pytest.approx(end)


def test_slow_systems_get_windows_of_two_intervals(chaotic: Analysis) -> None:
    slow = chaotic.model_copy(update={"predictability_time_steps": 900.0})
    assert plan(spec(), slow).training.sequence_length == 600


def test_windows_fit_into_a_short_series(chaotic: Analysis) -> None:
    made = plan(spec(), chaotic.model_copy(update={"length": 400}))
    assert made.training.sequence_length == 70


def test_a_window_longer_than_the_training_piece_is_refused(chaotic: Analysis) -> None:
    with pytest.raises(TooShort) as caught:
        plan(spec(training={"sequence_length": 300}), chaotic.model_copy(update={"length": 400}))
    assert caught.value.fields == {"rows": 280, "rows_needed": 301}


def test_contradictions_and_giants_are_refused(chaotic: Analysis) -> None:
    with pytest.raises(Inconsistent):
        plan(spec(cell={"kind": "clipped_shplrnn", "latent": 2}, observation={"kind": "identity"}), chaotic)
    with pytest.raises(Inconsistent):
        plan(spec(forcing={"kind": "sparse", "tau": 5, "anneal_from": 9}), chaotic)
    with pytest.raises(SpecTooLarge):
        plan(spec(cell={"kind": "clipped_shplrnn", "latent": 4096, "hidden": 4096}), chaotic)
    with pytest.raises(SpecTooLarge):
        plan(spec(training={"batch_size": 4096, "sequence_length": 10_000}), chaotic)


def test_delay_embedded_channels_are_the_units_of_the_cell(chaotic: Analysis) -> None:
    scalar = chaotic.model_copy(update={"channels": 1, "names": ("x",), "noise": (0.0,)})
    made = plan(spec(embedding={"dim": 7, "lag": 1}), scalar)
    assert made.observed == 7
    assert made.cell == ClippedShPLRNN(latent=7, hidden=150)
    assert any("delay embedding" in note for note in made.notes)


@pytest.mark.native
def test_a_budget_of_time_decides_the_updates_and_leaves_no_room_for_restarts(chaotic: Analysis) -> None:
    short, long = (plan(spec(training={"budget_s": seconds}), chaotic) for seconds in (5, 500))
    assert 40 < long.training.updates / short.training.updates < 400
    for made in (short, long):
        training = made.training
        assert (training.restarts, training.batch_size, training.validations) == (0, 16, 16)
        assert len(str(training.updates).rstrip("0")) <= 2
        assert any(f"{training.updates} updates, which take about" in note for note in made.notes)


def test_torch_takes_a_budget_too_and_forcing_each_step_takes_longer(chaotic: Analysis) -> None:
    cell, budget = {"kind": "lem", "latent": 5}, {"budget_s": 100, "sequence_length": 50}
    schemes = ({"kind": "sparse"}, {"kind": "generalized"})
    in_segments, step_by_step = (plan(spec(cell=cell, training=budget, forcing=scheme), chaotic) for scheme in schemes)
    assert in_segments.training.updates == pytest.approx(5 * step_by_step.training.updates, rel=0.1)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_smallest_budget_still_trains(chaotic: Analysis, smoothing: float) -> None:
    made = plan(spec(cell={"kind": "clipped_shplrnn", "smoothing": smoothing}, training={"budget_s": 1e-9}), chaotic)
    assert made.training.updates == 100


def test_updates_and_a_budget_are_one_too_many(chaotic: Analysis) -> None:
    with pytest.raises(Inconsistent, match="give one of them"):
        plan(spec(training={"budget_s": 5, "updates": 100}), chaotic)
