import io
import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chaos_core import errors
from chaos_core.readers import Reading, ReadOptions, read, read_file
from chaos_core.readers.lines import BLOCK_BYTES, blocks
from chaos_core.series import Series

X = np.random.default_rng(0).standard_normal((40, 3))
CLOCK = 0.02 * np.arange(40)

Reader = Callable[..., Reading]


@pytest.fixture
def reading(tmp_path: Path) -> Reader:
    def of(content: str | bytes, name: str = "upload.csv", kind: str = "auto", **words: Any) -> Reading:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_file(path, kind, ReadOptions(**words))

    return of


def table(delimiter: str = ",", header: str | None = None, end: str = "\n", cell: str = "{:.8f}") -> str:
    rows = [delimiter.join(cell.format(value) for value in row) for row in X]
    return end.join(([header] if header else []) + rows) + end


def with_column(values: Any, header: str) -> str:
    rows = [f"{first}," + ",".join(f"{value:.8f}" for value in row) for first, row in zip(values, X, strict=True)]
    return "\n".join([header, *rows])


def npy(array: Any, **words: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, **words)
    return buffer.getvalue()


def damaged(text: str, line: int, by: str) -> str:
    lines = text.splitlines()
    lines[line - 1] = by
    return "\n".join(lines)


def raised(kind: type[errors.ChaosError], work: Callable[[], object]) -> dict[str, Any]:
    with pytest.raises(kind) as caught:
        work()
    assert type(caught.value) is kind
    json.dumps(caught.value.problem(), allow_nan=False)
    return caught.value.fields


DIALECTS = {
    "comma": (table(), ("x0", "x1", "x2")),
    "comma and blank": (table(", ", "a, b, c"), ("a", "b", "c")),
    "semicolon": (table(";", "a;b;c"), ("a", "b", "c")),
    "decimal comma": (table(";", "a;b;c").replace(".", ","), ("a", "b", "c")),
    "tab": (table("\t", "a\tb\tc"), ("a", "b", "c")),
    "bar": (table("|"), ("x0", "x1", "x2")),
    "blanks": (table("   "), ("x0", "x1", "x2")),
    "blanks in front": ("  " + table("  ").replace("\n", "\n  "), ("x0", "x1", "x2")),
    "Windows line ends": (table(header="a,b,c", end="\r\n"), ("a", "b", "c")),
    "old Mac line ends": (table(header="a,b,c", end="\r"), ("a", "b", "c")),
    "byte order mark": ("\ufeff" + table(header="a,b,c"), ("a", "b", "c")),
    "blank lines": (table(header="a,b,c").replace("\n", "\n\n"), ("a", "b", "c")),
    "no last line end": (table().rstrip(), ("x0", "x1", "x2")),
    "quoted": (table(header='"a","b","c"', cell='"{:.8f}"'), ("a", "b", "c")),
    "quoted name over two lines": (table(header='"a\n(mV)","b, c","d"'), ("a (mV)", "b, c", "d")),
    "names in a comment": ("# made by hand\n# x y z\n" + table(" "), ("x", "y", "z")),
    "comments between": (table().replace("\n", "\n# note, note\n", 3), ("x0", "x1", "x2")),
    "comma at each end": (table(header="a,b,c").replace("\n", ",\n"), ("a", "b", "c")),
    "equal names": (table(header="a,a,a"), ("a", "a_2", "a_3")),
    "exponents": (table(cell="{:.9e}"), ("x0", "x1", "x2")),
    "plus signs": (table(cell="{:+.8f}"), ("x0", "x1", "x2")),
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_usual_ways_of_writing_a_table_are_understood(reading: Reader, dialect: str) -> None:
    text, names = DIALECTS[dialect]
    found = reading(text)
    assert found.format == "csv"
    assert found.series.names == names
    assert np.abs(found.series.x - X).max() < 1e-7


@pytest.mark.parametrize("name", ["a.csv", "a.TXT", "a.tsv", "a.dat", "upload", "data.unheard"])
def test_text_is_read_whatever_its_ending(reading: Reader, name: str) -> None:
    assert reading(table(), name).series.x.shape == (40, 3)


def test_one_column_is_a_series(reading: Reader) -> None:
    column = "\n".join(map(str, X[:, 0]))
    assert reading(column).series.names == ("x0",)
    assert reading("value\n" + column).series.names == ("value",)
    assert (reading(column).series.x[:, 0] == X[:, 0]).all()


def test_a_text_cell_is_named_by_row_line_column_and_text(reading: Reader) -> None:
    bad = damaged(table(header="a,b,c"), 11, "1.0,oops,3")
    fields = raised(errors.ColumnNotNumeric, lambda: reading(bad))
    assert fields == {"row": 9, "line": 11, "column": "b", "text": "oops"}


def test_line_numbers_count_comments_blank_lines_and_quoted_line_ends(reading: Reader) -> None:
    text = '# a comment\n"a\nb",b,c\n\n' + damaged(table(), 5, '"1.0","x, y",2.0')
    fields = raised(errors.ColumnNotNumeric, lambda: reading(text))
    assert fields == {"row": 4, "line": 9, "column": "b", "text": "x, y"}


@pytest.mark.parametrize("block_bytes", [7, 100, 1000])
def test_small_blocks_hold_the_same_lines_as_one_large_one(tmp_path: Path, block_bytes: int) -> None:
    path = tmp_path / "a.csv"
    path.write_text("# note\n" + table(header='"a\nb","b","c"', cell='"{:.8f}"', end="\r\n") + "# end, end\n1,2,3")
    (whole,) = blocks(path)
    pieces = list(blocks(path, block_bytes))
    assert len(pieces) > 1
    assert [p.line(i) for p in pieces for i in range(len(p.starts))] == [whole.line(i) for i in range(42)]
    assert np.concatenate([p.numbers for p in pieces]).tolist() == whole.numbers.tolist() == [2, *range(4, 44), 45]
    assert np.concatenate([p.count(",") for p in pieces]).tolist() == [2] * 42
    assert b"".join(p.text() for p in pieces) == whole.text()


def test_a_table_larger_than_a_block_is_read_whole(reading: Reader) -> None:
    x = np.random.default_rng(1).standard_normal((1000, 2)).round(9)
    text = "a,b\n" + 250 * "".join(f"{a},{b}\n" for a, b in x.tolist())
    assert len(text) > 1.2 * BLOCK_BYTES
    assert (reading(text).series.x == np.tile(x, (250, 1))).all()
    fields = raised(errors.ColumnNotNumeric, lambda: reading(text + "1,two\n"))
    assert fields == {"row": 250_000, "line": 250_002, "column": "b", "text": "two"}


@pytest.mark.parametrize("gap", ["", "nan", "NaN", "NA", "n/a", "null", "None", "?", '""', "inf", "-Infinity", "1e999"])
def test_a_missing_or_infinite_entry_is_refused_by_row_and_column_or_masked(reading: Reader, gap: str) -> None:
    text = damaged(table(header="a,b,c"), 11, f"1.0,{gap},3")
    fields = raised(errors.NotFinite, lambda: reading(text))
    assert fields == {"count": 1, "row": 9, "line": 11, "column": "b"}
    masked = reading(text, missing="mask")
    assert np.argwhere(masked.series.mask).tolist() == [[9, 1]]
    assert masked.facts()["missing_count"] == 1


def test_a_blank_line_in_a_single_column_is_a_missing_value(reading: Reader) -> None:
    text = damaged("\n".join(map(str, X[:, 0])), 6, "")
    assert raised(errors.NotFinite, lambda: reading(text))["row"] == 5


@pytest.mark.parametrize(("row", "found"), [("1.0,2.0", 2), ("1,2,3,4", 4), ("1;2;3", 1)])
def test_a_row_with_another_number_of_cells_is_named(reading: Reader, row: str, found: int) -> None:
    fields = raised(errors.RaggedRow, lambda: reading(damaged(table(header="a,b,c"), 11, row)))
    assert fields == {"row": 9, "line": 11, "expected": 3, "found": found}


@pytest.mark.parametrize("content", [b"", b"\n \r\n", b"\xef\xbb\xbf", b"# only words\n", b"a,b,c\n"])
def test_a_file_without_numbers_is_empty(reading: Reader, content: bytes) -> None:
    raised(errors.EmptyData, lambda: reading(content))


def test_three_points_are_too_short_and_a_constant_column_is_named(reading: Reader) -> None:
    assert raised(errors.TooShort, lambda: reading("1,2\n2,3\n3,5\n"))["rows"] == 3
    text = with_column(["4.0"] * 40, "v,a,b,c")
    assert raised(errors.ConstantChannel, lambda: reading(text))["column"] == "v"


def test_unreadable_text_is_refused(reading: Reader) -> None:
    raised(errors.UnreadableFile, lambda: reading(table().encode("utf-16")))
    raised(errors.UnreadableFile, lambda: reading(bytes(range(256))))
    assert raised(errors.UnreadableFile, lambda: reading(damaged(table(), 7, '1,"2,3')))["line"] == 7
    assert raised(errors.TooLarge, lambda: reading(b"1," * 1_000_000))["line"] == 1


@pytest.mark.parametrize(
    ("content", "name"),
    [(b"BZh9", "a.csv.bz2"), (b"\xfd7zXZ", "a.csv"), (b"<html>", "a.csv"), (b"%PDF-1.4", "a.json"),
     (bytes(range(1, 256)), "a.bin"), (b"\x89PNG", "a.h5")],
)  # fmt: skip
def test_other_formats_are_unknown(reading: Reader, content: bytes, name: str) -> None:
    raised(errors.UnknownFormat, lambda: reading(content, name))


def test_a_format_that_there_is_not_is_unknown(reading: Reader) -> None:
    known = raised(errors.UnknownFormat, lambda: reading(table(), kind="xlsx"))["known"]
    assert known == ["csv", "hdf5", "json", "matlab", "netcdf", "npy", "npz", "parquet"]


def test_limits_on_rows_and_columns(reading: Reader) -> None:
    assert raised(errors.TooLarge, lambda: reading(table(), max_rows=39))["limit"] == 39
    assert raised(errors.TooLarge, lambda: reading(table(), max_columns=2))["value"] == 3
    assert raised(errors.TooLarge, lambda: reading(npy(X), "a.npy", max_rows=39))["value"] == 40
    assert raised(errors.TooLarge, lambda: reading(npy(X), "a.npy", max_columns=2))["value"] == 3


@pytest.mark.parametrize("header", ["t", "time", "Time (s)", "TIME [ms]", "timestamp"])
def test_a_time_column_is_found_by_its_name_and_gives_the_step(reading: Reader, header: str) -> None:
    found = reading(with_column(CLOCK, f"{header},a,b,c"))
    assert (found.series.dt, found.time_column, found.series.names) == (0.02, header, ("a", "b", "c"))


def test_a_time_column_can_be_named_or_numbered(reading: Reader) -> None:
    for column in ("clock", "0", 0):
        found = reading(with_column(CLOCK, "clock,a,b,c"), time_column=column)
        assert (found.series.dt, found.series.channels) == (0.02, 3)
    assert reading(with_column(CLOCK, "clock,a,b,c")).series.channels == 4
    fields = raised(errors.UnknownColumn, lambda: reading(table(header="a,b,c"), time_column="clock"))
    assert fields == {"column": "clock", "known": ["a", "b", "c"]}


def test_a_given_step_goes_before_the_time_column(reading: Reader) -> None:
    found = reading(with_column(CLOCK, "time,a,b,c"), dt=0.5)
    assert (found.series.dt, found.series.channels) == (0.5, 3)


def test_a_gap_in_time_is_refused_with_its_row(reading: Reader) -> None:
    jump = np.where(np.arange(40) >= 20, CLOCK + 0.02, CLOCK)
    fields = raised(errors.IrregularTime, lambda: reading(with_column(jump, "time,a,b,c")))
    assert (fields["row"], fields["line"], fields["column"]) == (20, 22, "time")
    whole = np.delete(np.arange(41), 20)
    assert raised(errors.IrregularTime, lambda: reading(with_column(whole, "t,a,b,c")))["row"] == 20
    still = np.where(np.arange(40) == 20, CLOCK[19], CLOCK)
    assert raised(errors.IrregularTime, lambda: reading(with_column(still, "t,a,b,c")))["row"] == 20


def test_clock_jitter_rounding_and_large_offsets_are_even_enough(reading: Reader) -> None:
    jitter = CLOCK + 1e-5 * np.random.default_rng(0).standard_normal(40)
    assert reading(with_column(jitter, "t,a,b,c")).series.dt == pytest.approx(0.02, rel=1e-3)
    rounded = [f"{i / 360:.3f}" for i in range(40)]
    assert reading(with_column(rounded, "t,a,b,c")).series.dt == pytest.approx(1 / 360, rel=0.01)
    epoch = [f"{1_600_000_000 + t:.2f}" for t in CLOCK]
    assert reading(with_column(epoch, "t,a,b,c")).series.dt == 0.02


def test_dates_are_times_in_seconds(reading: Reader) -> None:
    moments = [(datetime(2024, 2, 28, 23, 59, 55) + timedelta(milliseconds=500 * i)).isoformat() for i in range(40)]
    assert reading(with_column(moments, "time,a,b,c")).series.dt == 0.5
    fields = raised(errors.ColumnNotNumeric, lambda: reading(with_column(["noon"] * 40, "time,a,b,c")))
    assert (fields["row"], fields["text"]) == (0, "noon")


def test_a_channel_called_t_that_is_no_clock_stays_a_channel(reading: Reader) -> None:
    assert reading(with_column(X[:, 1], "T,a,b,c")).series.names == ("T", "a", "b", "c")


@pytest.mark.parametrize("header", [",a,b,c", ",0,1,2", "index,a,b,c"])
def test_an_unnamed_counter_of_rows_is_left_out(reading: Reader, header: str) -> None:
    series = reading(with_column(range(40), header)).series
    assert (series.channels, series.dt) == (3, None)
    assert np.abs(series.x - X).max() < 1e-7
    assert reading(with_column(X[:, 0], ",a,b,c")).series.names == ("x0", "a", "b", "c")


def test_columns_are_chosen_by_name_or_number_in_the_order_given(reading: Reader) -> None:
    found = reading(with_column(["label"] * 40, "name,a,b,c"), columns=("c", "1"))
    assert found.series.names == ("c", "a")
    assert np.abs(found.series.x - X[:, [2, 0]]).max() < 1e-7
    raised(errors.UnknownColumn, lambda: reading(table(header="a,b,c"), columns=("d",)))
    raised(errors.UnknownColumn, lambda: reading(table(header="a,b,c"), columns=("3",)))


@pytest.mark.parametrize("dtype", ["f8", "f4", ">f8", "f2", "g"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_of_real_numbers_are_read(reading: Reader, dtype: str, order: Any) -> None:
    array = np.array(X, dtype=dtype, order=order)
    found = reading(npy(array), "a.npy", dt=0.1)
    assert (found.series.x == array.astype(float)).all()
    assert (found.format, found.series.names, found.series.dt) == ("npy", ("x0", "x1", "x2"), 0.1)


def test_flat_arrays_whole_numbers_and_a_wrong_ending_are_read(reading: Reader) -> None:
    assert reading(npy((X[:, 0] * 100).astype(np.int16)), "a.npy").series.x.shape == (40, 1)
    assert reading(npy(X), "a.csv").format == "npy"
    assert reading(npy(np.c_[CLOCK, X]), "a.npy", time_column="0", columns=("x2", "1")).series.dt == 0.02


def test_nan_in_an_array_is_refused_by_row_and_column_or_masked(reading: Reader) -> None:
    gappy = X.copy()
    gappy[7, 2] = np.nan
    fields = raised(errors.NotFinite, lambda: reading(npy(gappy), "a.npy"))
    assert fields == {"count": 1, "row": 7, "column": "x2"}
    assert reading(npy(gappy), "a.npy", missing="mask").series.mask.sum() == 1


def test_nothing_is_ever_unpickled(reading: Reader, tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "exploded",))

    objects = np.array([Bomb()] * 40, dtype=object)
    raised(errors.PickleRefused, lambda: reading(npy(objects, allow_pickle=True), "a.npy"))
    raised(errors.PickleRefused, lambda: reading(pickle.dumps([Bomb()]), "a.npy"))
    raised(errors.PickleRefused, lambda: reading(pickle.dumps([Bomb()]), "a.csv"))
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize(
    ("array", "error"),
    [
        (X + 0j, errors.NotReal),
        (np.zeros(40, [("a", "f8")]), errors.NotReal),
        (np.array(["a"] * 40), errors.NotReal),
        (np.arange(40).astype("M8[s]"), errors.NotReal),
        (X[None], errors.BadShape),
        (np.float64(3), errors.BadShape),
    ],
    ids=["complex", "structured", "text", "dates", "three axes", "no axis"],
)
def test_arrays_that_are_no_table_of_real_numbers_are_refused(reading: Reader, array: Any, error: Any) -> None:
    raised(error, lambda: reading(npy(array), "a.npy"))


@pytest.mark.parametrize(
    "content",
    [npy(X)[:-9], npy(X)[:20], npy(X) + b"more", b"\x93NUMPY", b"\x93NUMPY\x09\x00\xff\xff\xff\x7f{",
     b"\x93NUMPY\x01\x00\x10\x00__import__('os')", b"\x93NUMPY\x01\x00\x08\x00{'descr'"],
    ids=["cut", "cut header", "longer", "magic", "no version", "code", "open brace"],
)  # fmt: skip
def test_damaged_arrays_are_unreadable(reading: Reader, content: bytes) -> None:
    raised(errors.UnreadableFile, lambda: reading(content, "a.npy"))


@pytest.mark.parametrize("shape", ["(-40,)", "(99999999999, 3)", "(40, 99999)", "(0, 3)"])
def test_a_header_that_promises_the_impossible_is_refused_before_anything_is_read(reading: Reader, shape: str) -> None:
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}}}".ljust(118).encode()
    with pytest.raises(errors.DataError):
        reading(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header, "a.npy")


def test_an_empty_array_is_empty(reading: Reader) -> None:
    raised(errors.EmptyData, lambda: reading(npy(np.zeros((0, 3))), "a.npy"))


def test_read_gives_the_series_alone(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(table())
    assert isinstance(read(tmp_path / "a.csv"), Series)


def answer(folder: Path, **request: Any) -> dict[str, Any]:
    (folder / "request.json").write_text(json.dumps(request))
    command = [sys.executable, "-m", "chaos_core.readers", str(folder)]
    subprocess.run(command, check=True, timeout=60, capture_output=True)
    name = "error.json" if (folder / "error.json").exists() else "facts.json"
    found: dict[str, Any] = json.loads((folder / name).read_text())
    return found


def test_the_reading_process_leaves_the_series_and_its_facts(tmp_path: Path) -> None:
    (tmp_path / "upload.csv").write_text(with_column(CLOCK, "time,a,b,c"))
    facts = answer(tmp_path, file="upload.csv", name="laser.csv", columns=None, cpu_s=20, memory_bytes=2**31)
    assert facts == {
        "format": "csv",
        "rows": 40,
        "channels": 3,
        "names": ["a", "b", "c"],
        "dt": 0.02,
        "missing_count": 0,
        "stretches": 1,
        "input_names": [],
    }
    series = Series.from_npz((tmp_path / "series.npz").read_bytes())
    assert np.abs(series.x - X).max() < 1e-7


def test_the_reading_process_says_what_is_wrong_with_the_file_or_the_request(tmp_path: Path) -> None:
    (tmp_path / "upload").write_text(damaged(table(), 3, "1,two,3"))
    problem = answer(tmp_path, file="upload", name="a.csv")
    assert (problem["code"], problem["row"], problem["column"]) == ("column_not_numeric", 2, "x1")
    assert answer(tmp_path, file="upload", missing="guess")["code"] == "data_error"


def test_the_reading_process_stays_within_its_memory(tmp_path: Path) -> None:
    (tmp_path / "upload.npy").write_bytes(npy(np.random.default_rng(0).standard_normal((2_000_000, 2))))
    problem = answer(tmp_path, file="upload.npy", memory_bytes=40 * 2**20)
    assert (problem["code"], problem["limit"]) == ("parser_limit", "memory_bytes")


@pytest.mark.parametrize("seed", range(4))
def test_damaged_files_are_read_or_refused_by_name_but_never_crash(reading: Reader, seed: int) -> None:
    rng = np.random.default_rng(seed)
    wholes = [table(header="a,b,c").encode(), table(";", cell='"{:.4f}"').encode(), table(" ").encode(), npy(X)]
    bits = [b'"', b",", b"\n", b"\r", b"\0", b"#", b"\xff", b"nan", b"-", b"{", b"99999999999999999999", b"\t;"]
    for _ in range(60):
        content = bytearray(wholes[rng.integers(4)])
        for place in rng.integers(0, len(content), 3):
            content[place : place + rng.integers(3)] = bits[rng.integers(len(bits))]
        try:
            assert np.isfinite(reading(bytes(content)).series.x).all()
        except errors.ChaosError as error:
            json.dumps(error.problem(), allow_nan=False)
