"""The compiled library: which one is taken, when it is refused, and the state of a training step."""

import runpy
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chaos_core import native
from chaos_core.cells.base import Cell
from chaos_core.cells.lem import LEM
from chaos_core.cells.shplrnn import ClippedShPLRNN
from chaos_core.errors import Inconsistent
from chaos_core.initialise import draw
from chaos_core.kernels.fused import native_step
from chaos_core.native import library, status
from chaos_core.native.loader import FOLDER, cpu_levels, open_library
from chaos_core.native.matching import Matching
from chaos_core.native.stamp import library_name, source_stamp
from chaos_core.typing import Floats, Ints

pytestmark = pytest.mark.native

ROOT = FOLDER.parents[1]
CELL = ClippedShPLRNN(latent=3, hidden=10)
DRIVEN = ClippedShPLRNN(latent=3, hidden=10, inputs=1)
SMOOTH = ClippedShPLRNN(latent=3, hidden=10, smoothing=0.1)


def parameters(cell: Cell) -> dict[str, Floats]:
    rng = np.random.default_rng(0)
    params = {name: a + 0.1 * rng.standard_normal(a.shape) for name, a in draw(cell.parameters(), rng).items()}
    return params | {"A": 0.9 * params["A"]}


def series() -> Floats:
    return np.random.default_rng(1).standard_normal((200, 3))


def matching(weight: float = 0.1) -> Matching:
    rng = np.random.default_rng(5)
    return Matching(rng.standard_normal((20, 3)), rng.standard_normal((20, 3, 3)), weight)


def batches(count: int) -> list[Ints]:
    return [np.random.default_rng(i).integers(0, 180, 5) for i in range(count)]


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FOLDER, tmp_path / "native"))


def test_a_library_is_active_here_and_says_so() -> None:
    active = library()
    assert active is not None, status().reason
    assert active.level == status().level
    assert active.level in cpu_levels()
    assert status().reason == f"Native kernels at CPU level {active.level}."


def test_a_library_built_from_other_sources_is_refused(copied: Path) -> None:
    assert open_library(copied, cpu_levels())[0] is not None
    with (copied / "shplrnn.cpp").open("a") as file:
        file.write("// edited\n")
    active, why = open_library(copied, cpu_levels())
    assert (active, why.level) == (None, None)
    assert "stale" in why.reason
    assert "python hatch_build.py" in why.reason


def test_a_new_or_renamed_source_file_changes_the_stamp(copied: Path) -> None:
    stamps = [source_stamp(copied)]
    (copied / "extra.hpp").write_text("")
    stamps.append(source_stamp(copied))
    (copied / "extra.hpp").rename(copied / "other.hpp")
    stamps.append(source_stamp(copied))
    assert len(set(stamps)) == 3


def test_a_missing_or_broken_library_is_passed_over_for_the_next_level(copied: Path) -> None:
    level = cpu_levels()[0]
    (copied / library_name(level)).rename(copied / library_name("best"))
    (copied / library_name("broken")).write_bytes(b"not a library")
    active, _ = open_library(copied, ["absent", "broken", "best"])
    assert active is not None
    assert active.level == "best"


def test_without_any_library_the_status_names_the_reason_for_each_level(tmp_path: Path) -> None:
    (tmp_path / library_name("v3")).write_bytes(b"not a library")
    active, why = open_library(tmp_path, ["v3", "v2"])
    assert active is None
    assert f"{library_name('v3')} does not load" in why.reason
    assert f"{library_name('v2')} was not built" in why.reason


def test_the_build_reports_what_the_compiler_says_and_leaves_nothing_behind(tmp_path: Path) -> None:
    build = runpy.run_path(str(ROOT / "hatch_build.py"))
    target = replace(build["this_target"](), levels={"v9": "no_such_cpu"})
    with pytest.raises(build["NotBuilt"], match="no_such_cpu"):
        build["compile_level"]("v9", target, FOLDER, tmp_path, str(tmp_path / "cache"))
    assert list(tmp_path.glob("*v9*")) == []


def test_the_build_names_a_platform_that_it_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    build = runpy.run_path(str(ROOT / "hatch_build.py"))
    monkeypatch.setattr(sys, "platform", "plan9")
    with pytest.raises(build["NotBuilt"], match="plan9"):
        build["this_target"]()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("optimiser", ["adam", "radam"])
def test_a_resumed_training_is_the_same_to_the_last_bit(optimiser: str, dtype: type) -> None:
    x, alpha, done = series().astype(dtype), np.full((19, 3), 0.2), batches(20)
    straight = native_step(CELL, x, parameters(CELL), optimiser=optimiser, clip_norm=0.1)
    first = native_step(CELL, x, parameters(CELL), optimiser=optimiser, clip_norm=0.1)
    second = native_step(CELL, x.copy(), parameters(CELL), optimiser=optimiser, clip_norm=0.1)
    for starts in done:
        straight.update(starts, alpha, 1e-2)
    for starts in done[:8]:
        first.update(starts, alpha, 1e-2)
    second.flat[:], second.first_moment[:], second.second_moment[:] = (
        first.flat,
        first.first_moment,
        first.second_moment,
    )
    second.iteration = first.iteration
    for starts in done[8:]:
        second.update(starts, alpha, 1e-2)
    np.testing.assert_array_equal(second.flat, straight.flat)
    np.testing.assert_array_equal(second.second_moment, straight.second_moment)


def test_the_padding_of_a_batch_takes_no_part_in_loss_and_gradient() -> None:
    step = native_step(CELL, series(), parameters(CELL))
    alpha, starts = np.full((19, 3), 0.2), batches(1)[0]
    alone = [step.loss_and_gradient(starts[i : i + 1], alpha) for i in range(5)]
    loss, gradient = step.loss_and_gradient(starts, alpha)
    assert loss == pytest.approx(np.mean([one[0] for one in alone]), rel=1e-13)
    for name, array in gradient.items():
        np.testing.assert_allclose(array, np.mean([one[1][name] for one in alone], axis=0), atol=1e-14)


def test_training_lowers_the_loss() -> None:
    circle = np.sin(0.3 * np.arange(200)[:, None] + np.arange(3))
    step = native_step(CELL, circle, parameters(CELL))
    losses = [step.update(starts, np.full((19, 3), 0.2), 1e-2)[0] for starts in batches(200)]
    assert losses[-1] < 0.05 * losses[0]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_value_that_is_not_finite_in_the_data_is_seen_in_loss_and_norm(dtype: type, bad: float) -> None:
    x = series().astype(dtype)
    x[11, 1] = bad
    for clip_norm in (None, 1.0):
        step = native_step(CELL, x, parameters(CELL), clip_norm=clip_norm)
        loss, norm = step.update(np.array([0, 50]), np.full((19, 3), 0.2), 1e-2)
        assert not np.isfinite(loss)
        assert not np.isfinite(norm)
        assert np.isnan(step.flat).any()


def test_a_value_that_is_not_finite_outside_the_windows_is_not_seen() -> None:
    x = series()
    x[100:] = np.nan
    loss, _ = native_step(CELL, x, parameters(CELL)).update(np.array([0, 80]), np.full((19, 3), 0.2), 1e-2)
    assert np.isfinite(loss)


@pytest.mark.parametrize("start", [-1, 181, 2**63 - 1])
def test_a_window_outside_the_series_is_an_error_and_changes_nothing(start: int) -> None:
    step = native_step(CELL, series(), parameters(CELL))
    before = step.flat.copy()
    with pytest.raises(IndexError, match="200 rows"):
        step.update(np.array([0, start]), np.full((19, 3), 0.2), 1e-2)
    np.testing.assert_array_equal(step.flat, before)
    assert step.iteration == 0


def test_windows_may_reach_to_the_last_row() -> None:
    loss, _ = native_step(CELL, series(), parameters(CELL)).update(np.array([180]), np.full((19, 3), 0.2), 1e-2)
    assert np.isfinite(loss)


def test_batch_size_and_window_length_may_change_between_updates() -> None:
    step = native_step(CELL, series(), parameters(CELL))
    for batch, length in ((3, 10), (40, 25), (1, 1), (3, 10)):
        fresh = native_step(CELL, series(), parameters(CELL))
        starts, alpha = np.arange(batch), np.full((length, 3), 0.2)
        assert step.loss_and_gradient(starts, alpha)[0] == fresh.loss_and_gradient(starts, alpha)[0]


@pytest.mark.parametrize("rows", [[-1], [0, 20], [2**62]])
def test_a_row_outside_the_points_of_the_matching_is_an_error_and_changes_nothing(rows: list[int]) -> None:
    step = native_step(CELL, series(), parameters(CELL), matching=matching())
    before = step.flat.copy()
    with pytest.raises(IndexError, match="20 points"):
        step.update(np.array([0]), np.full((19, 3), 0.2), 1e-2, np.array(rows))
    np.testing.assert_array_equal(step.flat, before)
    assert (step.iteration, step.penalty) == (0, 0.0)


def test_an_update_without_rows_leaves_the_penalty_out_and_gives_the_bits_of_a_step_without_matching() -> None:
    with_points = native_step(CELL, series(), parameters(CELL), matching=matching())
    without = native_step(CELL, series(), parameters(CELL))
    alpha, starts = np.full((19, 3), 0.2), np.array([3, 50])
    with_points.loss_and_gradient(starts, alpha, np.array([1, 2]))
    assert with_points.penalty > 0
    assert with_points.update(starts, alpha, 1e-2) == without.update(starts, alpha, 1e-2)
    assert with_points.penalty == 0.0
    with_points.update(starts, alpha, 1e-2, np.zeros(0, np.int64))
    without.update(starts, alpha, 1e-2)
    np.testing.assert_array_equal(with_points.flat, without.flat)


def test_matching_alone_brings_the_jacobian_of_a_smooth_cell_to_its_target() -> None:
    turned = np.array([[0.9, -0.3, 0.0], [0.3, 0.9, 0.0], [0.0, 0.0, 0.5]])
    points = np.random.default_rng(6).standard_normal((50, 3))
    target = Matching(points, np.broadcast_to(turned, (50, 3, 3)), 1.0)
    empty, seen = np.full((20, 3), np.nan), np.zeros((20, 3))
    step = native_step(SMOOTH, empty, parameters(SMOOTH), seen=seen, matching=target)
    for _ in range(2000):
        step.update(np.array([0]), np.zeros((1, 3)), 5e-3, np.arange(50))
    assert step.penalty < 0.02


@pytest.mark.parametrize(
    ("points", "slopes", "weight", "message"),
    [
        (np.zeros((5, 3)), np.zeros((5, 3, 2)), 0.1, "must be"),
        (np.zeros((0, 3)), np.zeros((0, 3, 3)), 0.1, "must be"),
        (np.zeros((5, 3)), np.full((5, 3, 3), np.nan), 0.1, "finite"),
        (np.zeros((5, 3)), np.zeros((5, 3, 3)), 0.0, "positive"),
        (np.zeros((5, 3)), np.tile(np.eye(3), (5, 1, 1)), 0.1, "identity"),
    ],
)
def test_a_matching_that_cannot_be_is_refused(points: Floats, slopes: Floats, weight: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Matching(points, slopes, weight)


def test_rows_without_a_matching_or_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="rows must be"):
        native_step(CELL, series(), parameters(CELL)).update(np.array([0]), np.zeros((5, 3)), 1e-2, np.array([0]))
    step = native_step(CELL, series(), parameters(CELL), matching=matching())
    with pytest.raises(ValueError, match="rows must be"):
        step.update(np.array([0]), np.zeros((5, 3)), 1e-2, np.zeros((2, 2), np.int64))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cell": LEM(latent=3)}, "no native training step"),
        ({"x": series().astype(np.int64)}, "int64"),
        ({"x": np.zeros((50, 4))}, "4 channels off 3 latent units"),
        ({"x": np.zeros(50)}, "rows, N"),
        ({"params": parameters(ClippedShPLRNN(latent=3, hidden=11))}, "parameter W1"),
        ({"optimiser": "sgd"}, "adam, adamw, radam"),
        ({"cell": DRIVEN, "params": parameters(DRIVEN), "u": np.zeros((200, 2))}, "u must be"),
        ({"seen": np.zeros((199, 3))}, "seen must be"),
        ({"matching": Matching(np.zeros((5, 2)), np.zeros((5, 2, 2)), 0.1)}, "points must be"),
    ],
)
def test_a_step_that_cannot_be_done_is_refused_when_it_is_made(change: dict[str, Any], message: str) -> None:
    arguments = {"cell": CELL, "x": series(), "params": parameters(CELL)} | change
    with pytest.raises((ValueError, Inconsistent), match=message):
        native_step(**arguments)


def test_an_empty_batch_or_window_is_refused() -> None:
    step = native_step(CELL, series(), parameters(CELL))
    for starts, alpha in ((np.zeros(0, np.int64), np.zeros((5, 3))), (np.array([0]), np.zeros((0, 3)))):
        with pytest.raises(ValueError, match="must be"):
            step.update(starts, alpha, 1e-2)


def test_a_process_may_choose_another_library_or_none() -> None:
    before = status()
    try:
        assert native.use(()).level is None
        assert "chose none" in status().reason
        assert library() is None
        assert native.use([cpu_levels()[-1]]).level == cpu_levels()[-1]
        assert native.use(["v0"]).level is None
        assert native.use(None).level == cpu_levels()[0]
    finally:
        native.use(None if before.level == cpu_levels()[0] else [before.level or ""])
    assert status() == before
