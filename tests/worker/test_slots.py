"""How many jobs a worker takes at a time."""

from worker.slots import Slots


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
    assert set(slots.open_kinds()) == {"train", "analyse", "ingest"}
    assert slots.take("train") and slots.take("train")
    assert set(slots.open_kinds()) == {"analyse", "ingest"}
