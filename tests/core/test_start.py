"""Trainings that go on from a trained model or a checkpoint."""

import json
from contextlib import suppress
from typing import Any

import numpy as np
import pytest

from chaos_core import checkpoint
from chaos_core.analysis import Analysis, analyse
from chaos_core.errors import Collapsed, Exploded, Inconsistent, UnreadableFile
from chaos_core.fitted import Fitted, from_safetensors, to_safetensors
from chaos_core.metrics import Score
from chaos_core.pipeline import evaluate, fit
from chaos_core.planning import plan
from chaos_core.series import Scaling, Series
from chaos_core.spec import Plan, Spec
from chaos_core.start import Parent, ScalingOf, Start, agreed, read_start, start_of
from chaos_core.systems import henon, lorenz63
from chaos_core.training import Step, Trainer, Validated

CELL = {"kind": "clipped_shplrnn", "hidden": 30}
SHORT = {"updates": 200, "sequence_length": 15, "batch_size": 16, "validations": 2}
LORENZ: dict[str, Any] = {
    "cell": {"kind": "clipped_shplrnn", "hidden": 50},
    "training": {"updates": 1000, "sequence_length": 50, "batch_size": 16, "validations": 4, "restarts": 0},
    "losses": [],
}
KERNELS = [
    pytest.param({}, "native", marks=pytest.mark.native),
    pytest.param({"input_noise": 1e-3}, "segments", id="segments"),
]


def named(x: np.ndarray) -> Series:
    return Series(x, names=("a", "b"))


@pytest.fixture(scope="module")
def data() -> Series:
    return named(henon(3000).x)


@pytest.fixture(scope="module")
def known(data: Series) -> Analysis:
    return analyse(data)


@pytest.fixture(scope="module")
def parent(data: Series, known: Analysis) -> Fitted:
    return fit(data, plan(Spec.model_validate({"cell": CELL, "training": {"updates": 4000, "restarts": 0}}), known), 1)


def planned(analysis: Analysis, start: Start | None, **training: object) -> Plan:
    spec = {"training": SHORT | training} | ({"cell": CELL} if start is None else {})
    return plan(Spec.model_validate(spec), analysis, None if start is None else start.parent)


def value(score: Score) -> float:
    assert score.value is not None, score.reason
    return score.value


def test_one_update_keeps_the_quality_of_a_good_model(data: Series, known: Analysis, parent: Fitted) -> None:
    start = start_of(parent)
    the_plan = planned(known, start, updates=1, validations=1, learning_rate=1e-4, learning_rate_end=1e-4)
    child = fit(data, the_plan, 5, start=start)
    before, after = (evaluate(fitted, data.split()[2]) for fitted in (parent, child))
    assert value(after.d_stsp) < 1.2 * value(before.d_stsp) + 0.05
    assert value(after.prediction_error) < 2 * value(before.prediction_error) + 1e-3
    assert (child.cell, child.observation, child.scaling) == (parent.cell, parent.observation, parent.scaling)
    assert child.provenance["start"] == {"kind": "model", "sha256": start.parent.sha256, "scaling": "parent"}
    assert the_plan.notes[0].startswith("It starts from the parameters of a model")


def test_the_start_itself_is_judged_and_no_worse_state_takes_its_place(
    data: Series, known: Analysis, parent: Fitted
) -> None:
    start = start_of(parent)
    wild = planned(known, start, learning_rate=0.5, learning_rate_end=0.5, updates=20)
    trainer = Trainer(data, wild, 0, start=start)
    first = next(iter(trainer))
    assert isinstance(first, Validated) and (first.update, first.living, first.best) == (0, True, True)
    child = fit(data, wild, 0, start=start)
    assert child.provenance["update"] == 0
    assert all(np.array_equal(child.params[name], parent.params[name]) for name in parent.params)


@pytest.mark.parametrize(("training", "kernel"), KERNELS)
def test_a_resumed_fine_tuning_ends_in_the_same_bits(
    data: Series, known: Analysis, parent: Fitted, training: dict[str, object], kernel: str
) -> None:
    start = start_of(parent)
    the_plan = planned(known, start, updates=30, **training)
    straight = Trainer(data, the_plan, 3, start=start)
    assert straight.kernel == kernel
    expected = run(straight)
    for stop in (0, 1, len(expected) - 2):
        first = Trainer(data, the_plan, 3, start=start)
        for count, _ in enumerate(first):
            if count == stop:
                break
        second = Trainer(data, the_plan, 3, first.checkpoint(), start)
        assert run(second) == expected[stop + 1 :]
        assert second.checkpoint() == straight.checkpoint()
    assert to_safetensors(second.fitted()) == to_safetensors(straight.fitted())


def run(trainer: Trainer) -> list[Step | Validated]:
    events: list[Step | Validated] = []
    with suppress(Exploded, Collapsed):
        events.extend(trainer)
    return events


@pytest.fixture(scope="module")
def quiet(analysis: Analysis) -> Fitted:
    """A model of Lorenz-63 at rho = 28."""
    training = LORENZ["training"] | {"updates": 6000, "validations": 8}
    return fit(lorenz63(6000), plan(Spec.model_validate(LORENZ | {"training": training}), analysis), 0)


@pytest.mark.parametrize("scaling", ["parent", "data"])
def test_where_the_system_has_changed_fine_tuning_beats_training_from_scratch_with_as_few_updates(
    analysis: Analysis, quiet: Fitted, scaling: ScalingOf
) -> None:
    changed = lorenz63(6000, rho=32.0)
    start, test = start_of(quiet, scaling), changed.split()[2]
    spec = Spec.model_validate({name: part for name, part in LORENZ.items() if name != "cell"})
    tuned = fit(changed, plan(spec, analysis, start.parent), 1, start=start)
    scratch = fit(changed, plan(Spec.model_validate(LORENZ), analysis), 1)
    before, after, other = (evaluate(fitted, test) for fitted in (quiet, tuned, scratch))
    assert value(after.prediction_error) < 0.3 * value(before.prediction_error)
    assert value(after.prediction_error) < 0.3 * value(other.prediction_error)
    assert value(after.d_stsp) < value(other.d_stsp)
    assert (tuned.scaling == quiet.scaling) == (scaling == "parent")


def test_a_checkpoint_is_a_start_too_with_its_present_state(data: Series, known: Analysis) -> None:
    trainer = Trainer(data, planned(known, None), 2)
    for event in trainer:
        if event.update >= 100:
            break
    content = trainer.checkpoint()
    start = read_start(content)
    assert (start.parent.kind, start.parent.channels) == ("checkpoint", 2)
    assert start.scaling == Scaling.of(data.split()[0])
    assert np.array_equal(np.concatenate([value.ravel() for value in start.params.values()]), state(content).flat)
    child = Trainer(data, planned(known, start), 2, start=start)
    assert np.array_equal(state(child.checkpoint()).flat, state(content).flat), "before the first update"


def state(content: bytes) -> checkpoint.State:
    return checkpoint.from_bytes(content)


def test_the_file_of_a_model_is_read_as_a_start(parent: Fitted) -> None:
    content = to_safetensors(parent)
    start = read_start(content, "data")
    assert start.parent == start_of(parent, "data").parent
    assert start.parent == Parent.of_model(facts_of(content), start.parent.sha256, "data")
    assert start.parent.origin.model_dump() == {"kind": "model", "sha256": start.parent.sha256, "scaling": "data"}
    assert all(np.array_equal(start.params[name], parent.params[name]) for name in parent.params)


def facts_of(content: bytes) -> dict[str, object]:
    from_safetensors(content)
    length = int.from_bytes(content[:8], "little")
    facts: dict[str, object] = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["chaos"])
    return facts


def test_what_is_no_start_is_refused(data: Series, known: Analysis) -> None:
    with pytest.raises(UnreadableFile):
        read_start(b"neither")
    old = state(Trainer(data, planned(known, None), 2).checkpoint())
    without = checkpoint.to_bytes(checkpoint.State(**{**vars(old), "model": None}))
    with pytest.raises(UnreadableFile, match="does not hold its scaling"):
        read_start(without)
    with pytest.raises(Inconsistent, match="settings are not known"):
        Parent.of_model({"cell": "clipped_shplrnn"}, "0" * 64)


def test_parts_of_the_parent_may_be_repeated_but_not_changed(parent: Fitted) -> None:
    known = start_of(parent).parent
    same = {"cell": {"kind": "clipped_shplrnn", "hidden": 30, "latent": "auto"}, "observation": {"kind": "identity"}}
    filled = agreed(Spec.model_validate({**same, "embedding": {"dim": "auto", "lag": 1}}), known, 2)
    assert filled.cell.model_dump() == parent.cell.model_dump()  # type: ignore[union-attr]
    for words, setting in (
        ({"cell": {"kind": "plrnn"}}, "cell.kind"),
        ({"cell": {**CELL, "hidden": 31}}, "cell.hidden"),
        ({"observation": {"kind": "linear"}}, "observation.kind"),
        ({"embedding": {"dim": 2}}, "embedding.dim"),
    ):
        with pytest.raises(Inconsistent) as caught:
            agreed(Spec.model_validate(words), known, 2)
        assert caught.value.fields["setting"] == setting
    with pytest.raises(Inconsistent) as caught:
        agreed(Spec(), known, 3)
    assert caught.value.fields == {"channels": 3, "channels_of_parent": 2}


def test_a_plan_belongs_to_its_start(data: Series, known: Analysis, parent: Fitted) -> None:
    start = start_of(parent)
    the_plan, afresh = planned(known, start), planned(known, None)
    assert the_plan.training.restarts == 0 and the_plan.digest() != afresh.digest()
    assert Plan.model_validate(the_plan.model_dump(mode="json")).digest() == the_plan.digest()
    for wrong, given in ((the_plan, None), (afresh, start), (the_plan, start_of(parent, "data"))):
        with pytest.raises(Inconsistent):
            Trainer(data, wrong, start=given)


def test_a_new_attempt_draws_its_start_in_the_parents_scaling(data: Series, known: Analysis, parent: Fitted) -> None:
    wide = named(data.x * 1000.0)
    start = start_of(parent)
    spec = Spec.model_validate({"training": {**SHORT, "updates": 2, "validations": 1, "restarts": 1}})
    trainer = Trainer(wide, plan(spec, analyse(wide), start.parent), 0, start=start)
    assert [event.update for event in run(trainer) if isinstance(event, Validated)] == [0, 2, 4]
    assert trainer.attempt == 1
