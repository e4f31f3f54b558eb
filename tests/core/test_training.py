from contextlib import suppress

import numpy as np
import pytest
import torch

from chaos_core.analysis import Analysis, analyse
from chaos_core.engine import Batch, make_engine
from chaos_core.errors import (
    CheckpointUnreadable,
    Collapsed,
    DeviceUnavailable,
    Diverged,
    Exploded,
    Inconsistent,
    TooShort,
)
from chaos_core.initialise import draw, layout
from chaos_core.kernels import Kernel
from chaos_core.native import library
from chaos_core.planning import plan
from chaos_core.series import Series
from chaos_core.spec import Plan, Spec
from chaos_core.systems import henon, lorenz63
from chaos_core.torch_engine import TorchEngine
from chaos_core.training import Step, Trainer, Validated, learning_rate
from chaos_core.windows import Rows

SMALL = {"updates": 60, "sequence_length": 20, "batch_size": 4, "validations": 3}
NATIVE = {"cell": {"kind": "clipped_shplrnn", "hidden": 8}, "training": SMALL}
NOISY = {**SMALL, "input_noise": 1e-3}  # noise is torch's work
SEGMENTS = {"cell": {"kind": "plrnn", "latent": 5}, "forcing": {"kind": "sparse", "tau": 5}, "training": NOISY}
REFERENCE = {**SEGMENTS, "forcing": {"kind": "generalized", "alpha": 0.2}}


def no_slopes() -> tuple[np.ndarray, np.ndarray]:
    raise AssertionError("nothing asked for the Jacobians of the data")


def made(analysis: Analysis, words: dict[str, object], **training: object) -> Plan:
    part = {**words["training"], **training}
    return plan(Spec.model_validate({**words, "training": part}), analysis)


def run(trainer: Trainer) -> list[Step | Validated]:
    events: list[Step | Validated] = []
    with suppress(Exploded, Collapsed):
        events.extend(trainer)
    return events


@pytest.mark.parametrize("words", [NATIVE, SEGMENTS, REFERENCE])
def test_a_training_resumed_at_any_event_ends_in_the_same_bits(
    series: Series, analysis: Analysis, words: dict[str, object]
) -> None:
    the_plan = made(analysis, words)
    straight = Trainer(series, the_plan, seed=3)
    expected = run(straight)
    for stop in (0, 25, len(expected) - 2, len(expected) - 1):
        first = Trainer(series, the_plan, seed=3)
        for count, _ in enumerate(first):
            if count == stop:
                break
        second = Trainer(series, the_plan, seed=3, state=first.checkpoint())
        assert run(second) == expected[stop + 1 :]
        assert second.checkpoint() == straight.checkpoint()


def test_the_same_seed_gives_the_same_training_and_another_seed_another(series: Series, analysis: Analysis) -> None:
    the_plan = made(analysis, NATIVE)
    one, same, other = (Trainer(series, the_plan, seed) for seed in (1, 1, 2))
    assert run(one) == run(same)
    assert one.checkpoint() == same.checkpoint()
    assert run(other) != run(Trainer(series, the_plan, 1))


def test_kernel_and_device_are_named(series: Series, analysis: Analysis) -> None:
    kernels = [Trainer(series, made(analysis, words)).kernel for words in (NATIVE, SEGMENTS, REFERENCE)]
    assert kernels == ["native" if library() else "segments", "segments", "reference"]
    assert Trainer(series, made(analysis, NATIVE, device="cpu")).device == "cpu"


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_cuda_where_there_is_none_is_refused(series: Series, analysis: Analysis) -> None:
    with pytest.raises(DeviceUnavailable):
        Trainer(series, made(analysis, NATIVE, device="cuda"))


@pytest.mark.parametrize("optimiser", ["adam", "adamw", "radam"])
def test_native_and_torch_engines_do_the_same_updates(analysis: Analysis, optimiser: str) -> None:
    the_plan = made(analysis, NATIVE, optimiser=optimiser, dtype="float64", clip_norm=0.05, weight_decay=0.01)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 3))
    rows = Rows(x, (0, 200), np.zeros((200, 0)), x)
    params = draw(layout(the_plan.cell, the_plan.observation, 3), rng)
    one = make_engine(the_plan, rows, params, no_slopes)
    other = TorchEngine(the_plan, rows, params, Kernel.REFERENCE, "cpu", no_slopes)
    for k in range(20):
        starts = rng.integers(0, 179, 4)
        alpha = the_plan.forcing.mask(20, 3, 3, k / 20, rng)
        batch = Batch(starts, alpha, 1e-3, k / 20, rng)
        np.testing.assert_allclose(one.updates([batch]), other.updates([batch]), rtol=1e-9)
    np.testing.assert_allclose(one.arrays()[0], other.arrays()[0], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("words", [NATIVE, SEGMENTS])
def test_a_training_that_blows_up_is_diverged_and_says_when(
    series: Series, analysis: Analysis, words: dict[str, object]
) -> None:
    rates = {"learning_rate": 1.0, "learning_rate_end": 1.0, "sequence_length": 400, "updates": 200}
    unforced = {**words, "forcing": {"kind": "none"}}
    with pytest.raises(Diverged) as caught:
        list(Trainer(series, made(analysis, unforced, **rates), 0))
    assert 0 < caught.value.fields["update"] <= 200


def test_a_training_without_a_living_state_does_not_end_as_a_success(series: Series, analysis: Analysis) -> None:
    trainer = Trainer(series, made(analysis, NATIVE, updates=1, validations=1, restarts=2), 0)
    with pytest.raises((Collapsed, Exploded)) as caught:
        list(trainer)
    assert caught.value.fields["update"] == trainer.update == trainer.total == 3
    assert caught.value.fields["since"] == 1, "it has been dead from the first look on"
    with pytest.raises((Collapsed, Exploded)):
        trainer.fitted()


def test_a_checkpoint_belongs_to_one_series_plan_and_seed(series: Series, analysis: Analysis) -> None:
    the_plan = made(analysis, NATIVE)
    state = Trainer(series, the_plan, 1).checkpoint()
    for other in (
        (series, the_plan, 2),
        (series, made(analysis, NATIVE, updates=61), 1),
        (lorenz63(1501), the_plan, 1),
    ):
        with pytest.raises(CheckpointUnreadable):
            Trainer(*other, state=state)


def test_the_learning_rate_goes_from_first_to_last(analysis: Analysis) -> None:
    rates = {"updates": 101, "learning_rate": 1e-2, "learning_rate_end": 1e-4}
    for schedule, middle in (("exponential", 1e-3), ("cosine", 5.05e-3), ("constant", 1e-2)):
        the_plan = made(analysis, NATIVE, **rates, schedule=schedule)
        assert learning_rate(the_plan, 0) == pytest.approx(1e-2)
        assert learning_rate(the_plan, 50) == pytest.approx(middle)
        assert learning_rate(the_plan, 100) == pytest.approx(1e-2 if schedule == "constant" else 1e-4)


def test_long_gaps_leave_no_window_and_that_is_an_error(series: Series, analysis: Analysis) -> None:
    x = series.x.copy()
    x[np.arange(len(x)) % 75 < 60] = np.nan
    with pytest.raises(TooShort):
        Trainer(Series(x, 0.01, names=series.names, missing="mask"), made(analysis, NATIVE))


def test_windows_of_a_map_hold_missing_entries_though_nothing_bridges_them() -> None:
    whole = henon(2000)
    x = whole.x.copy()
    x[10:1400:25, 0] = np.nan
    gappy = Series(x, names=whole.names, missing="mask")
    events = run(Trainer(gappy, made(analyse(whole), NATIVE, sequence_length=60)))
    losses = [event.loss for event in events if isinstance(event, Step)]
    assert losses and np.isfinite(losses).all()


def test_a_plan_for_other_channels_is_refused(series: Series, analysis: Analysis) -> None:
    with pytest.raises(Inconsistent):
        Trainer(Series(series.x[:, :2], 0.01), made(analysis, NATIVE))
