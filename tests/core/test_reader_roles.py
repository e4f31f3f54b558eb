"""Columns that are no channels: external inputs, and the number of the recording."""

from pathlib import Path

import numpy as np
import pytest

from chaos_core import errors
from chaos_core.readers import ReadOptions, read

ROWS = 60


def write(folder: Path, header: str, *columns: np.ndarray) -> Path:
    lines = [header, *(",".join(f"{value:.10g}" for value in row) for row in zip(*columns, strict=True))]
    (folder / "a.csv").write_text("\n".join(lines) + "\n")
    return folder / "a.csv"


@pytest.fixture
def trials(tmp_path: Path) -> Path:
    """Three trials of 30, 10 and 20 rows; the clock starts anew in each."""
    trial = np.repeat([7.0, 3.0, 7.0], [30, 10, 20])
    clock = 0.5 * np.concatenate([np.arange(30), np.arange(10), np.arange(20)])
    x, u = np.random.default_rng(0).standard_normal((2, ROWS))
    return write(tmp_path, "time,trial,x,light", clock, trial, x, u)


def test_inputs_and_trials_are_not_channels(trials: Path) -> None:
    series = read(trials, options=ReadOptions(inputs=("light",), stretch_column="trial"))
    assert (series.names, series.input_names, series.dt) == (("x",), ("light",), 0.5)
    assert series.inputs.shape == (ROWS, 1)
    assert [(run.start, run.stop) for run in series.runs()] == [(0, 30), (30, 40), (40, 60)]


def test_columns_may_be_told_by_number(trials: Path) -> None:
    options = ReadOptions(columns=("2",), inputs=("3",), stretch_column=1)
    series = read(trials, options=options)
    assert (series.names, series.input_names, int(series.stretch[-1])) == (("x",), ("light",), 2)


def test_one_column_cannot_be_two_things(trials: Path) -> None:
    for words in ({"columns": ("x", "light"), "inputs": ("light",)}, {"inputs": ("trial",), "stretch_column": "trial"}):
        with pytest.raises(errors.UnknownColumn, match="cannot be two"):
            read(trials, options=ReadOptions(**words))
    with pytest.raises(errors.UnknownColumn):
        read(trials, options=ReadOptions(inputs=("heat",)))


def test_without_trials_a_clock_that_starts_anew_is_an_error(trials: Path) -> None:
    with pytest.raises(errors.IrregularTime) as caught:
        read(trials, options=ReadOptions(time_column="time"))
    assert caught.value.fields["row"] == 30


def test_a_flaw_in_the_clock_of_the_longest_trial_is_named_by_its_row_in_the_file(tmp_path: Path) -> None:
    clock = np.concatenate([np.arange(5.0), np.arange(40.0)])
    clock[30] += 0.3
    x = np.random.default_rng(0).standard_normal(45)
    path = write(tmp_path, "time,trial,x", clock, np.repeat([0.0, 1.0], [5, 40]), x)
    with pytest.raises(errors.IrregularTime) as caught:
        read(path, options=ReadOptions(stretch_column="trial"))
    assert caught.value.fields["row"] == 30


def test_missing_inputs_and_trial_numbers_are_refused_even_where_gaps_are_masked(tmp_path: Path) -> None:
    x, u = np.random.default_rng(0).standard_normal((2, 40))
    u[11] = np.nan
    path = write(tmp_path, "x,u", x, u)
    for words in ({"inputs": ("u",)}, {"stretch_column": "u"}):
        with pytest.raises(errors.NotFinite) as caught:
            read(path, options=ReadOptions(missing="mask", **words))
        assert (caught.value.fields["row"], caught.value.fields["column"]) == (11, "u")


def test_nothing_left_to_learn_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path, "u,v", *np.random.default_rng(0).standard_normal((2, 40)))
    with pytest.raises(errors.EmptyData):
        read(path, options=ReadOptions(inputs=("u", "v")))
