"""A file of an array may fill most of the memory that a reader has, since no second copy of the numbers is made."""

import tracemalloc
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from chaos_core.readers import ReadOptions, read_file
from chaos_core.readers.npy import PIECE

Order = Literal["C", "F"]
ROWS, COLUMNS = 3 * PIECE + 17, 4
ALLOWED = 1.6
"""Share of the numbers' own bytes: stretches of 8 bytes a row, flags of one byte an entry, twice, and a piece."""


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(ROWS, COLUMNS)).round(3)


def peak_share(path: Path, expected: np.ndarray, options: ReadOptions | None = None) -> float:
    tracemalloc.start()
    try:
        series = read_file(path, options=options).series
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (series.x == expected).all() and not series.x.flags.writeable
    return peak / series.x.nbytes


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<f8", ">f8", "<f4"])
def test_an_array_is_read_once(tmp_path: Path, x: np.ndarray, order: Order, dtype: str) -> None:
    written = np.asarray(x, dtype, order=order)
    np.save(tmp_path / "x.npy", written)
    assert peak_share(tmp_path / "x.npy", written) < ALLOWED


@pytest.mark.parametrize("order", ["C", "F"])
def test_only_the_wanted_columns_are_kept(tmp_path: Path, x: np.ndarray, order: Order) -> None:
    np.save(tmp_path / "x.npy", np.asarray(x, order=order))
    assert peak_share(tmp_path / "x.npy", x[:, [2, 0]], ReadOptions(columns=("x2", "x0"))) < ALLOWED + 0.5


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_member_of_an_archive_is_read_once(tmp_path: Path, x: np.ndarray, save: type) -> None:
    save(tmp_path / "x.npz", x=x)
    assert peak_share(tmp_path / "x.npz", x) < ALLOWED
