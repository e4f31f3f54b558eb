"""Reading along with a child that writes into a file."""

from pathlib import Path

from worker.tail import MOST_AT_ONCE, MOST_FILE_BYTES, MOST_LINE_BYTES, Tail


def test_lines_are_given_once_and_when_they_are_whole(tmp_path: Path) -> None:
    path = tmp_path / "words"
    tail = Tail(path)
    assert tail.lines() == []
    with path.open("ab", buffering=0) as words:
        words.write(b"one\n\ntw")
        assert tail.lines() == ["one"]
        words.write(b"o\n\xff\nthree")
        assert tail.lines() == ["two", "\N{REPLACEMENT CHARACTER}"]
        assert tail.lines() == []
        assert tail.lines(last=True) == ["three"]
        assert tail.lines(last=True) == []


def test_a_flood_is_skipped_and_the_file_stays_small(tmp_path: Path) -> None:
    path = tmp_path / "words"
    tail = Tail(path)
    flood = b"x" * 99 + b"\n"
    with path.open("ab", buffering=0) as words:
        words.write(flood * (MOST_FILE_BYTES // len(flood) + 2000))
        lines = tail.lines()
        assert "bytes of output were skipped" in lines[0]
        assert sum(map(len, lines)) < 2 * MOST_AT_ONCE
        assert path.stat().st_size == 0
        words.write(b"after it\n")
        assert tail.lines() == ["after it"]


def test_a_line_without_end_is_shortened(tmp_path: Path) -> None:
    path = tmp_path / "words"
    path.write_bytes(b"y" * (MOST_LINE_BYTES + 10))
    [line] = Tail(path).lines()
    assert line.endswith("(10 bytes more)") and line.startswith("yyy")
