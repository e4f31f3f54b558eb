import json

import pytest
from pydantic import ValidationError

from chaos_core.cells.shplrnn import ClippedShPLRNN
from chaos_core.embedding import Embedding
from chaos_core.forcing.sparse import Sparse
from chaos_core.observation import IdentityObservation
from chaos_core.spec import Evaluation, Interval, Plan, Spec, Split, Training

TRAINING = {
    "updates": 100,
    "sequence_length": 50,
    "batch_size": 8,
    "optimiser": "radam",
    "learning_rate": 1e-3,
    "learning_rate_end": 1e-4,
    "schedule": "exponential",
    "clip_norm": None,
    "validations": 2,
    "restarts": 0,
    "dtype": "float32",
    "device": "auto",
}


def a_plan(tau: int = 10, notes: tuple[str, ...] = ()) -> Plan:
    return Plan(
        cell=ClippedShPLRNN(latent=3, hidden=20),
        observation=IdentityObservation(),
        forcing=Sparse(tau=tau, anneal_from=2),
        training=Training.model_validate(TRAINING),
        evaluation=Evaluation(),
        embedding=Embedding(),
        split=Split(),
        channels=3,
        dt=0.01,
        names=("x", "y", "z"),
        interval=Interval(
            predictability_time_steps=30.0, factor=1 / 3, tau=tau, source="lambda_max", schedule="s", why="w"
        ),
        notes=notes,
    )


def test_an_empty_spec_is_all_auto() -> None:
    spec = Spec.model_validate({})
    assert set(spec.model_dump().values()) == {"auto"}


def test_fields_left_out_of_a_part_are_auto() -> None:
    spec = Spec.model_validate({"cell": {"kind": "clipped_shplrnn", "hidden": 50}, "training": {"updates": 15000}})
    words = spec.model_dump(mode="json")
    others = dict.fromkeys(("latent", "inputs", "smoothing", "bounded"), "auto")
    assert words["cell"] == {"kind": "clipped_shplrnn", "hidden": 50, **others}
    assert words["training"]["updates"] == 15000
    assert words["training"]["optimiser"] == "auto"


def test_a_spec_survives_json() -> None:
    spec = Spec.model_validate({"forcing": {"kind": "generalized", "alpha": 0.1}, "training": {"clip_norm": None}})
    assert Spec.model_validate_json(spec.model_dump_json()) == spec
    assert spec.model_dump()["training"]["clip_norm"] is None


@pytest.mark.parametrize(
    "words",
    [
        {"cell": {"kind": "no_such_cell"}},
        {"cell": {"kind": "plrnn", "latnet": 3}},
        {"forcing": {"kind": "sparse", "tau": 0}},
        {"forcing": {"kind": "generalized", "alpha": 1.5}},
        {"training": {"updates": 0}},
        {"training": {"learning_rate": float("nan")}},
        {"training": {"optimiser": "sgdd"}},
        {"evaluation": {"preset": "no_such_preset"}},
        {"split": {"train": 0.9, "validation": 0.3, "test": 0.2}},
        {"cells": "auto"},
    ],
)
def test_words_that_mean_nothing_are_refused(words: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Spec.model_validate(words)


def test_a_plan_survives_json_with_the_same_digest() -> None:
    plan = a_plan()
    again = Plan.model_validate_json(plan.model_dump_json())
    assert again == plan
    assert again.digest() == plan.digest()


def test_the_digest_follows_settings_and_not_sentences() -> None:
    assert a_plan().digest() == a_plan(notes=("something to know",)).digest()
    assert a_plan(tau=10).digest() != a_plan(tau=11).digest()


def test_the_schema_of_a_spec_names_every_cell_and_forcing() -> None:
    text = json.dumps(Spec.model_json_schema())
    assert all(
        f'"{kind}"' in text for kind in ("clipped_shplrnn", "plrnn", "sparse", "generalized", "identity", "none")
    )
