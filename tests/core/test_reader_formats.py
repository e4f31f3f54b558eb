"""Every format against the library that writes it: what was written is what is read, to the last bit."""

import gzip
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import polars as pl
import pytest
import scipy.io

from chaos_core import errors
from chaos_core.readers import Reading, ReadOptions, read_file, refusals
from chaos_core.readers.matlab import matlab_arrays
from chaos_core.series import Series
from tests.core import files
from tests.core.files import CLOCK, NAMES, ROWS, WHOLE, X

Reader = Callable[..., Reading]
WITH_CLOCK = [kind for kind in WHOLE if kind in ("npz packed", "json rows") or kind.startswith(("netcdf", "parquet"))]
MATLAB_FILES = Path(scipy.io.__file__).parent / "matlab" / "tests" / "data"
NETCDF_FILES = Path(scipy.io.__file__).parent / "tests" / "data"


@pytest.fixture
def reading(tmp_path: Path) -> Reader:
    def of(file: str, content: bytes, kind: str = "auto", **words: Any) -> Reading:
        return read_file(files.put(tmp_path, file, content), kind, ReadOptions(**words))

    return of


@pytest.mark.parametrize("kind", [*WHOLE, *files.PACKED])
def test_what_was_written_is_read(reading: Reader, kind: str) -> None:
    found = reading(*(WHOLE | files.PACKED)[kind])
    assert (found.series.x == X).all()
    assert found.format == {"tsv": "csv"}.get(kind.split()[0], kind.split()[0])
    clock = next((name for name in WITH_CLOCK if kind.startswith(name)), None)
    assert (found.series.dt, found.time_column) == ((0.02, "time") if clock else (None, None))


@pytest.mark.parametrize("kind", WHOLE)
def test_bytes_go_before_the_name_and_the_name_before_nothing(reading: Reader, kind: str) -> None:
    name, content = WHOLE[kind]
    assert (reading("upload", content).series.x == X).all()
    told = reading("upload", content, kind="auto", name=name).format
    assert (reading("upload", content, kind=told).series.x == X).all()


def test_a_content_type_tells_a_format_where_nothing_else_does(reading: Reader) -> None:
    with pytest.raises(refusals.FormatMismatch):
        reading("upload", files.csv(), content_type="application/x-npz")
    assert reading("upload", files.csv(), content_type="text/csv; charset=utf-8").format == "csv"


@pytest.mark.parametrize("said", ["npz", "parquet", "hdf5", "matlab", "netcdf", "npy"])
def test_another_format_than_was_said_is_one_clear_error(reading: Reader, said: str) -> None:
    with pytest.raises(refusals.FormatMismatch) as caught:
        reading("a.csv", files.csv(), kind=said)
    assert caught.value.fields == {"said": said, "found": "text"}
    other = "parquet" if said == "npz" else "npz"
    with pytest.raises(refusals.FormatMismatch) as caught:
        reading("a", WHOLE[other][1], kind=said)
    assert caught.value.fields == {"said": said, "found": other}


def test_roles_of_columns_hold_for_every_format(reading: Reader) -> None:
    trial = np.repeat([7.0, 3.0], ROWS // 2)
    table = np.c_[np.tile(CLOCK[: ROWS // 2], 2), trial, X[:, :2]]
    names = ("time", "trial", "x", "light")
    columns = {name: table[:, i] for i, name in enumerate(names)}
    contents = {
        "a.parquet": files.parquet(files.frame(**columns)),
        "a.json": json.dumps({name: column.tolist() for name, column in columns.items()}).encode(),
        "a.h5": files.hdf5(lambda file: [file.create_dataset(n, data=c) for n, c in columns.items()]),
        "a.mat": files.mat(**columns),
        "a.npz": files.npz(**columns),
        "b.mat": files.mat73(**columns),
        "a.nc": files.netcdf(**columns),
    }
    for name, content in contents.items():
        series = reading(name, content, inputs=("light",), stretch_column="trial").series
        assert (series.names, series.input_names, series.dt) == (("x",), ("light",), 0.02), name
        assert [(run.start, run.stop) for run in series.runs()] == [(0, 20), (20, 40)], name
        assert (series.x[:, 0] == X[:, 0]).all() and (series.inputs[:, 0] == X[:, 1]).all(), name


def test_members_of_an_npz_are_recordings_in_natural_order(reading: Reader) -> None:
    runs = {"run10": X[25:], "run2": X[:25]}
    series = reading("a.npz", files.npz(**runs)).series
    assert (series.x == X).all()
    assert [(run.start, run.stop) for run in series.runs()] == [(0, 25), (25, 40)]
    clocked = reading("a.npz", files.npz(**runs, time=np.r_[CLOCK[:25], CLOCK[:15]])).series
    assert (clocked.dt, clocked.channels, int(clocked.stretch[-1])) == (0.02, 3, 1)
    shared = reading("a.npz", files.npz(run1=X[:20], run2=X[20:], t=CLOCK[:20])).series
    assert (shared.dt, int(shared.stretch[-1])) == (0.02, 1)
    named = reading("a.npz", files.npz(**runs, other=X[:, 0]), dataset=("run10", "run2")).series
    assert (named.x == np.r_[X[25:], X[:25]]).all()


def test_flat_members_of_other_names_are_columns_and_numbered_ones_recordings(reading: Reader) -> None:
    series = reading("a.npz", files.npz(t=CLOCK, speed=X[:, 0], angle=X[:, 1])).series
    assert (series.names, series.dt) == (("speed", "angle"), 0.02)
    numbered = {"x1": X[:, 0], "x2": X[:, 1]}
    assert reading("a.npz", files.npz(**numbered)).series.x.shape == (2 * ROWS, 1)
    assert reading("a.npz", files.npz(**numbered), arrays="columns").series.names == ("x1", "x2")
    assert reading("a.mat", files.mat(**numbered), arrays="stretches").series.x.shape == (2 * ROWS, 1)
    with pytest.raises(refusals.AmbiguousDataset):
        reading("a.mat", files.mat(**numbered))


def test_a_gap_in_a_recording_is_named_by_member(reading: Reader) -> None:
    late = X[20:].copy()
    late[5, 1] = np.nan
    content = files.npz(run1=X[:20], run2=late)
    with pytest.raises(errors.NotFinite) as caught:
        reading("a.npz", content)
    assert caught.value.fields == {"count": 1, "row": 25, "column": "x1", "member": "run2", "member_row": 5}
    assert reading("a.npz", content, missing="mask").series.mask.sum() == 1


@pytest.mark.parametrize("name", ["a.h5", "a.mat", "b.mat", "a.npz"])
def test_several_arrays_are_listed_and_one_can_be_named(reading: Reader, name: str) -> None:
    arrays = {"train": X[:30], "other": X[:, 0]}
    contents = {
        "a.h5": files.hdf5(lambda file: [file.create_dataset(n, data=c) for n, c in arrays.items()]),
        "a.mat": files.mat(**arrays),
        "b.mat": files.mat73(**arrays),
        "a.npz": files.npz(**arrays),
    }
    with pytest.raises(refusals.AmbiguousDataset) as caught:
        reading(name, contents[name])
    found = {item["name"]: item["shape"] for item in caught.value.fields["candidates"]}
    assert found == {"train": [30, 3], "other": [40]}
    assert (reading(name, contents[name], dataset=("other",)).series.x[:, 0] == X[:, 0]).all()
    with pytest.raises(refusals.UnknownDataset) as unknown:
        reading(name, contents[name], dataset=("none",))
    assert sorted(unknown.value.fields["known"]) == ["other", "train"]


def test_an_array_in_a_group_is_named_by_path_or_by_its_last_part(reading: Reader) -> None:
    def write(file: h5py.File) -> None:
        file["a/x"], file["b/x"], file["b/y"] = X, X + 1, X + 2
        file["soft"] = h5py.SoftLink("/a/x")
        file["label"] = "text"

    content = files.hdf5(write)
    assert (reading("a.h5", content, dataset=("/b/x",)).series.x == X + 1).all()
    assert (reading("a.h5", content, dataset=("y",)).series.x == X + 2).all()
    for name in ("x", None):
        with pytest.raises(refusals.AmbiguousDataset):
            reading("a.h5", content, dataset=(name,) if name else None)


@pytest.mark.parametrize("dtype", ["f4", ">f8", "i2", "u8", "?", "f2"])
def test_every_type_of_real_number_is_read_from_arrays(reading: Reader, dtype: str) -> None:
    x = (X > 0) if dtype == "?" else (100 * X).astype(dtype)
    for name, content in {"a.npz": files.npz(x=x), "a.h5": files.hdf5(lambda f: f.update({"x": x}) or None)}.items():
        assert (reading(name, content).series.x == x.astype(float)).all()


def test_columns_of_parquet_become_numbers_whatever_their_type(reading: Reader) -> None:
    start = datetime(2024, 2, 28, 23, 59, 55)
    moments = [start + timedelta(milliseconds=500 * i) for i in range(ROWS)]
    whole = np.arange(ROWS) ** 2
    table = files.frame(time=moments, i=whole, f=X[:, 0].astype("f4"), flag=whole % 3 == 0, text=["a"] * ROWS)
    content = files.parquet(table.with_columns(pl.col("i").cast(pl.Decimal(20, 3)).alias("d")))
    series = reading("a.parquet", content, columns=("i", "f", "flag", "d")).series
    assert series.dt == 0.5
    assert (series.x == np.c_[whole, X[:, 0].astype("f4"), whole % 3 == 0, whole]).all()
    with pytest.raises(errors.ColumnNotNumeric) as caught:
        reading("a.parquet", content)
    assert (caught.value.fields["column"], caught.value.fields["text"]) == ("text", "String")


@pytest.mark.parametrize("gap", [None, float("nan")])
def test_gaps_are_refused_by_row_and_column_or_masked(reading: Reader, gap: float | None) -> None:
    values = [*X[:7, 0].tolist(), gap, *X[8:, 0].tolist()]
    rows = json.dumps([{"v": v, "w": w} for v, w in zip(values, X[:, 1].tolist(), strict=True)]).encode()
    for name, content in {"a.parquet": files.parquet(files.frame(v=values, w=X[:, 1])), "a.json": rows}.items():
        with pytest.raises(errors.NotFinite) as caught:
            reading(name, content)
        assert caught.value.fields == {"count": 1, "row": 7, "column": "v"}
        assert np.argwhere(reading(name, content, missing="mask").series.mask).tolist() == [[7, 0]]


@pytest.mark.parametrize(
    ("document", "error", "fields"),
    [
        ([[1, 2], [3]], errors.RaggedRow, {"row": 1, "expected": 2, "found": 1}),
        ([{"a": 1}, {"a": 2, "b": 3}], errors.RaggedRow, {"row": 1, "column": "b"}),
        ({"a": [1, 2], "b": [1]}, errors.RaggedRow, {"row": 1, "column": "b", "expected": 2, "found": 1}),
        ([[1, 2], [3, "4"]], errors.ColumnNotNumeric, {"row": 1, "column": "x1", "text": "4"}),
        ([[1, 2], [3, True]], errors.ColumnNotNumeric, {"row": 1, "column": "x1", "text": "True"}),
        ([[1, 2], [3, {}]], errors.ColumnNotNumeric, {"row": 1, "column": "x1", "text": "a dict"}),
        ([[1, 10**400]], errors.TooLarge, {"row": 0, "column": "x1"}),
        ([[[1, 2]], [[3, 4]]], errors.BadShape, {"shape": [2, 1]}),
        ({"a": 1}, errors.UnreadableFile, {}),
        ([1, [2]], errors.RaggedRow, {"row": 1}),
        ([], errors.EmptyData, {}),
        ({}, errors.EmptyData, {}),
        ([{}], errors.EmptyData, {"shape": [1, 0]}),
    ],
)
def test_json_that_is_no_table_of_numbers(reading: Reader, document: Any, error: Any, fields: dict[str, Any]) -> None:
    with pytest.raises(errors.DataError) as caught:
        reading("a.json", json.dumps(document).encode())
    assert type(caught.value) is error
    assert caught.value.fields == fields


def test_dates_in_json_are_times_and_missing_entries_may_be_left_out(reading: Reader) -> None:
    start = datetime(2024, 2, 28, 23, 59, 55)
    rows: list[dict[str, Any]] = [
        {"time": (start + timedelta(seconds=2 * i)).isoformat(), "a": a} for i, a in enumerate(X[:, 0].tolist())
    ]
    del rows[4]["a"]
    found = reading("a.json", json.dumps(rows).encode(), missing="mask")
    assert (found.series.dt, found.series.mask.sum()) == (2.0, 1)


def test_netcdf_fill_values_are_missing_and_packed_numbers_scaled(reading: Reader, tmp_path: Path) -> None:
    file = scipy.io.netcdf_file(tmp_path / "made.nc", "w")
    file.createDimension("time", ROWS)
    packed = file.createVariable("x", "h", ("time",))
    packed[:] = np.arange(ROWS) ** 2
    packed[3] = -999
    packed._FillValue, packed.scale_factor, packed.add_offset = np.int16(-999), 0.5, 10.0
    file.close()
    series = reading("a.nc", (tmp_path / "made.nc").read_bytes(), missing="mask").series
    expected = np.arange(ROWS) ** 2 * 0.5 + 10
    assert np.argwhere(series.mask).tolist() == [[3, 0]]
    assert (np.delete(series.x[:, 0], 3) == np.delete(expected, 3)).all()


def test_records_of_several_variables_are_told_apart(reading: Reader) -> None:
    flags = np.arange(ROWS).astype(np.int8)
    content = files.netcdf(time=CLOCK, x=X, flag=flags)
    assert (reading("a.nc", content, dataset=("x",)).series.x == X).all()
    assert (reading("a.nc", content, dataset=("flag",)).series.x[:, 0] == flags).all()


NUMBERS = ["testdouble", "testmatrix", "testminus"]
OTHERS = ["testcell", "testcellnest", "testobject", "teststring", "teststruct", "testsparse", "testcomplex"]


@pytest.mark.parametrize("stem", NUMBERS)
@pytest.mark.parametrize("version", ["4.2c_SOL2", "6.1_SOL2", "6.5.1_GLNX86", "7.1_GLNX86", "7.4_GLNX86"])
def test_files_that_matlab_wrote_are_read_as_scipy_reads_them(reading: Reader, stem: str, version: str) -> None:
    path = MATLAB_FILES / f"{stem}_{version}.mat"
    if not path.exists():
        return
    truth = scipy.io.loadmat(path)[stem]
    array = next(array for array in matlab_arrays(path, ReadOptions()) if array.name == stem)
    assert (array.load().reshape(-1) == truth.reshape(-1)).all()


@pytest.mark.parametrize("path", sorted(MATLAB_FILES.glob("*.mat")), ids=lambda path: path.stem)
def test_every_file_that_matlab_wrote_is_read_or_refused_by_name(path: Path) -> None:
    try:
        assert read_file(path).format == "matlab"
        assert path.stem in ("test_skip_variable",)
    except errors.DataError as error:
        assert path.stem.split("_")[0] not in OTHERS or error.code == "not_real"


@pytest.mark.parametrize("path", sorted(NETCDF_FILES.glob("*.nc")), ids=lambda path: path.stem)
def test_netcdf_from_elsewhere_is_read_or_refused_by_name(path: Path) -> None:
    with pytest.raises(errors.DataError):
        read_file(path)


@pytest.mark.parametrize("words", [{"delimiter": "semicolon"}, {"decimal": "comma"}, {"header": False}])
def test_what_the_sender_says_about_a_text_table_goes_first(reading: Reader, words: dict[str, Any]) -> None:
    text = "\n".join(f"{i};{(i * i) % 7},{i % 10}" for i in range(40)).encode()
    series = reading("a.csv", text, **words).series
    assert series.x.shape == (40, 2)
    assert series.x[3].tolist() == [3, 2.3]
    counted = "\n".join(f"{i},{(i * i) % 7}" for i in range(40)).encode()
    assert reading("a.csv", counted, header=True).series.names == ("0", "0_2")
    assert reading("a.csv", counted, header=False).series.length == 40


def test_compressed_pieces_in_a_row_are_one_file(reading: Reader) -> None:
    content = files.csv()
    halves = content[:700], content[700:]
    assert (reading("a.csv.gz", b"".join(map(gzip.compress, halves)) + bytes(100)).series.x == X).all()
    assert (reading("a.csv.zst", b"".join(map(files.zst, halves))).series.x == X).all()
    assert reading("a.csv.gz", gzip.compress(content)).series.names == NAMES


def test_a_series_that_we_stored_comes_back_as_it_was(reading: Reader) -> None:
    u = np.cos(np.arange(ROWS))
    trials = np.repeat([0, 1], ROWS // 2)
    for words in ({}, {"inputs": u, "input_names": ("light",)}, {"stretch": trials}):
        for x in (np.sort(X, axis=0), X[:, :1]):
            series = Series(x, 0.25, names=("t", *NAMES)[: x.shape[1]], **words)
            found = reading("free-run.npz", series.to_npz()).series
            assert found.digest() == series.digest()
    assert reading("a.npz", Series(X, 0.25).to_npz(), dt=0.5).series.dt == 0.5
