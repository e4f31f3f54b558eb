from dataclasses import fields

import numpy as np
import pytest

from chaos_core.checkpoint import Best, State, from_bytes, to_bytes
from chaos_core.errors import CheckpointUnreadable


def a_state(best: Best | None) -> State:
    rng = np.random.default_rng(7)
    flat, first, second = (rng.standard_normal(5).astype(np.float32) for _ in range(3))
    generator = dict(rng.bit_generator.state)
    return State("plan", "series", 3, 250, 1, 200, flat, first, second, generator, best, "living")


def test_every_field_comes_back_to_the_last_bit() -> None:
    best = Best(np.arange(5, dtype=np.float32), 200, 0.1, 0.05, 0.1 + 0.05)
    state = a_state(best)
    again = from_bytes(to_bytes(state))
    for field in fields(State):
        if field.name != "best":
            assert np.array_equal(getattr(again, field.name), getattr(state, field.name)), field.name
    assert again.best is not None
    assert again.best.flat.tolist() == best.flat.tolist()
    assert (again.best.update, again.best.d_stsp, again.best.d_h, again.best.score) == (200, 0.1, 0.05, 0.1 + 0.05)


def test_the_generator_goes_on_where_it_was() -> None:
    state = a_state(None)
    again = from_bytes(to_bytes(state))
    one, other = np.random.default_rng(0), np.random.default_rng(1)
    one.bit_generator.state, other.bit_generator.state = state.generator, again.generator
    assert one.integers(0, 2**62, 10).tolist() == other.integers(0, 2**62, 10).tolist()
    assert again.best is None


@pytest.mark.parametrize("content", [b"", b"not a checkpoint at all", to_bytes(a_state(None))[:-3]])
def test_damaged_bytes_are_refused(content: bytes) -> None:
    with pytest.raises(CheckpointUnreadable):
        from_bytes(content)
