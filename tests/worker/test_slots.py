"""How many jobs a worker takes at a time."""

from chaos_store.settings import Settings
from worker.runner.kinds import LIGHT_WORK
from worker.slots import LIGHT_KINDS, Slots


def test_the_light_runner_knows_the_light_kinds() -> None:
    assert set(LIGHT_WORK) == {kind.value for kind in LIGHT_KINDS}


def test_training_fills_only_its_own_slots() -> None:
    slots = Slots(training=1)
    assert slots.take("train")
    assert not slots.take("train")
    assert slots.take("ingest")


def test_light_kinds_share_one_slot() -> None:
    slots = Slots(training=1)
    assert slots.take("analyse")
    assert not slots.take("ingest")
    slots.give_back("analyse")
    assert slots.take("ingest")


def test_only_kinds_with_a_free_slot_are_asked_for() -> None:
    slots = Slots(training=2)
    assert slots.open_kinds() == [{"train"}, {"analyse", "baseline", "evaluate", "ingest"}]
    assert slots.take("train") and slots.take("train")
    assert slots.open_kinds() == [{"analyse", "baseline", "evaluate", "ingest"}]


def test_a_worker_of_one_kind_takes_only_that_kind() -> None:
    light = Slots.of(Settings(worker_kinds="light", worker_slots=3))
    assert light.open_kinds() == [{"analyse", "baseline", "evaluate", "ingest"}] and (light.training, light.light) == (
        0,
        3,
    )
    train = Slots.of(Settings(worker_kinds="train", worker_slots=2))
    assert train.open_kinds() == [{"train"}] and (train.training, train.light) == (2, 0)
    assert Slots.of(Settings()).open_kinds() == [{"train"}, {"analyse", "baseline", "evaluate", "ingest"}]
