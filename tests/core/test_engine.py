"""What a plan can ask of a training, through the real trainer: both engines, limits, losses, gaps, adaptation."""

from contextlib import suppress

import numpy as np
import pytest

from chaos_core.analysis import Analysis
from chaos_core.embedding import Embedding
from chaos_core.engine import Batch, NativeEngine, make_engine
from chaos_core.errors import Collapsed, Exploded, Inconsistent
from chaos_core.forcing.adaptive import AdaptiveGeneralized
from chaos_core.initialise import draw, layout
from chaos_core.kernels import Kernel
from chaos_core.losses import LOSSES
from chaos_core.planning import plan
from chaos_core.series import Series
from chaos_core.slopes import data_slopes
from chaos_core.spec import Plan, Spec
from chaos_core.torch_engine import TorchEngine
from chaos_core.training import Step, Trainer, learning_rate
from chaos_core.windows import Rows

SMALL = {"updates": 40, "sequence_length": 20, "batch_size": 4, "validations": 2, "restarts": 0}
CLIPPED = {"kind": "clipped_shplrnn", "hidden": 8}
PLRNN = {"kind": "plrnn", "latent": 5}


def made(analysis: Analysis, training: dict[str, object] | None = None, **parts: object) -> Plan:
    return plan(Spec.model_validate({"cell": CLIPPED, **parts, "training": SMALL | (training or {})}), analysis)


def run(trainer: Trainer) -> Trainer:
    with suppress(Exploded, Collapsed):
        for _ in trainer:
            pass
    return trainer


def rows(missing: float = 0.0) -> Rows:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 3)).cumsum(axis=0) / 5
    x[rng.random(x.shape) < missing] = np.nan
    seen = np.where(rng.random(x.shape) < 0.5, np.nan_to_num(x), x)
    return Rows(x, (0, 120, 200), np.zeros((200, 0)), seen)


@pytest.mark.native
@pytest.mark.parametrize("missing", [0.0, 0.2])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("losses", [[], [{"kind": "jacobian_matching", "weight": 0.3, "points": 7}]])
def test_both_engines_do_the_same_updates(
    analysis: Analysis, missing: float, smoothing: float, losses: list[dict[str, object]]
) -> None:
    cell = {**CLIPPED, "smoothing": smoothing, "bounded": True}
    the_plan = made(analysis, {"dtype": "float64", "clip_norm": 0.5}, cell=cell, losses=losses)
    whole, seen = rows(), rows(missing)
    params = draw(layout(the_plan.cell, the_plan.observation, 3), np.random.default_rng(1))

    def slopes() -> tuple[np.ndarray, np.ndarray]:
        return data_slopes(whole, Embedding())

    native = make_engine(the_plan, seen, params, slopes)
    twin = TorchEngine(the_plan, seen, params, Kernel.REFERENCE, "cpu", slopes)
    assert isinstance(native, NativeEngine)
    rng, mask = np.random.default_rng(2), the_plan.forcing.mask(20, 3, 3, 0.5, np.random.default_rng(0))
    for k in range(15):
        starts = rng.integers(0, 99, 4)
        points = native.draw(np.random.default_rng(k))
        both = [Batch(starts, mask, 1e-2, k / 15, np.random.default_rng(k), points) for _ in range(2)]
        np.testing.assert_allclose(native.updates(both[:1]), twin.updates(both[1:]), rtol=1e-8)
    np.testing.assert_allclose(native.arrays()[0], twin.arrays()[0], rtol=1e-8, atol=1e-11)


def test_a_bounded_cell_keeps_its_memory_below_one_and_says_how_far_it_can_go(
    series: Series, analysis: Analysis
) -> None:
    for cell in ({**CLIPPED, "bounded": True}, {"kind": "clipped_dendplrnn", "bounded": True, "latent": 5}, CLIPPED):
        trainer = Trainer(series, made(analysis, cell=cell), 0)
        flat = trainer._engine.arrays()[0]
        trainer._named(flat)["A"][:] = 1.5
        trainer._engine.restore(flat, np.zeros_like(flat), np.zeros_like(flat), 0)
        trainer._advance(1)
        params = trainer._named(trainer._engine.arrays()[0])
        kept = np.abs(params["A"]).max() <= 0.9999 * (1 + 1e-6)
        assert kept == bool(trainer.plan.cell.limits()) == (trainer.plan.cell.bound(params) is not None)


@pytest.mark.parametrize("kind", sorted(LOSSES))
def test_every_loss_trains_and_resumes_to_the_same_bits(series: Series, analysis: Analysis, kind: str) -> None:
    extra = {"flossing": {"every": 2, "orbits": 4, "steps": 10, "settle": 5}, "invariant_measure": {"samples": 8}}
    the_plan = made(analysis, cell=PLRNN, losses=[{"kind": kind, **extra.get(kind, {})}])
    straight = run(Trainer(series, the_plan, 2))
    half = Trainer(series, the_plan, 2)
    for event in half:
        if event.update >= 20:
            break
    resumed = run(Trainer(series, the_plan, 2, half.checkpoint()))
    assert (straight._engine.arrays()[0] == resumed._engine.arrays()[0]).all()
    plain = run(Trainer(series, made(analysis, cell=PLRNN), 2))
    assert (straight._engine.arrays()[0] != plain._engine.arrays()[0]).any()


@pytest.mark.parametrize("cell", [CLIPPED, PLRNN])
def test_the_strength_of_adaptive_forcing_moves_and_resumes(
    series: Series, analysis: Analysis, cell: dict[str, object]
) -> None:
    the_plan = made(analysis, cell=cell, forcing={"kind": "adaptive_generalized", "decay": 0.8, "every": 3})
    straight, half = run(Trainer(series, the_plan, 1)), Trainer(series, the_plan, 1)
    for event in half:
        if event.update >= 20:
            break
    resumed = run(Trainer(series, the_plan, 1, half.checkpoint()))
    assert isinstance(straight._forcing, AdaptiveGeneralized)
    assert 0 <= straight._forcing.alpha < 0.9
    assert resumed._forcing == straight._forcing
    assert (straight._engine.arrays()[0] == resumed._engine.arrays()[0]).all()


def test_a_bound_that_the_cell_does_not_know_is_refused_when_the_plan_is_made(analysis: Analysis) -> None:
    scheme = {"kind": "adaptive_generalized", "estimate": "jacobian_upper_bound"}
    assert made(analysis, cell=PLRNN, forcing=scheme)
    with pytest.raises(Inconsistent, match="gru"):
        made(analysis, cell={"kind": "gru", "latent": 5}, forcing=scheme)
    with pytest.raises(Inconsistent, match="unit 9"):
        made(analysis, cell=PLRNN, forcing={"kind": "sparse", "units": [9]})
    with pytest.raises(Inconsistent, match="7 of 3 latent units cannot be rectified"):
        made(analysis, cell={"kind": "alrnn", "latent": 3, "rectified": 7})
    with pytest.raises(Inconsistent, match="manifold"):
        made(analysis, losses=[{"kind": "manifold"}])


@pytest.mark.parametrize("kind", ["plrnn", "rnn", "lstm", "gru", "lem", "alrnn", "shplrnn", "dendplrnn"])
def test_every_cell_trains_on_data_with_gaps(series: Series, analysis: Analysis, kind: str) -> None:
    x = series.x.copy()
    x[np.random.default_rng(0).random(x.shape) < 0.2] = np.nan
    holes = Series(x, series.dt, names=series.names, missing="mask")
    trainer = Trainer(holes, made(analysis, {"updates": 8, "validations": 1}, cell={"kind": kind}), 0)
    losses = [event.loss for event in _steps(trainer)]
    assert np.isfinite(losses).all()


def _steps(trainer: Trainer) -> list[Step]:
    found: list[Step] = []
    with suppress(Exploded, Collapsed):
        found.extend(event for event in trainer if isinstance(event, Step))
    return found


def test_a_windowed_training_never_sees_the_data_in_its_state(series: Series, analysis: Analysis) -> None:
    the_plan = made(analysis, cell=PLRNN, forcing={"kind": "windowed", "tau": 5})
    trainer = Trainer(series, the_plan, 0)
    batch = Batch(trainer._starts[:4], the_plan.forcing.mask(20, 5, 3, 0, np.random.default_rng()), 0.0, 0, np.random)
    assert trainer.kernel == "segments"
    first = trainer._engine._pass(batch)[0].z
    assert (first == first[:1]).all(), "all windows start from zero, so all run alike"
    assert (first[:, :5] == first[:, 5:10]).all()


def test_the_share_of_clipped_updates_is_recorded(series: Series, analysis: Analysis) -> None:
    words = {"updates": 400, "validations": 4, "batch_size": 8, "learning_rate": 5e-3}
    for norm, share in ((1e-9, 1.0), (1e9, 0.0), (None, None)):
        trainer = run(Trainer(series, made(analysis, {**words, "clip_norm": norm}), 0))
        if trainer._best is not None:
            assert trainer.fitted().provenance["clipped_share"] == share
        assert trainer._clipped == (400 if share else 0)


def test_a_late_schedule_falls_in_the_last_quarter_only(analysis: Analysis) -> None:
    words = {"schedule": "late", "updates": 401, "learning_rate": 1e-3, "learning_rate_end": 1e-5}
    the_plan = made(analysis, words)
    assert [learning_rate(the_plan, k) for k in (0, 150, 300)] == pytest.approx([1e-3] * 3)
    assert learning_rate(the_plan, 350) == pytest.approx(1e-4)
    assert learning_rate(the_plan, 400) == pytest.approx(1e-5)
