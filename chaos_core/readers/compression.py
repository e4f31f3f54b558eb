"""gzip and zstd around a file of any format: inflated to disk, under limits, once."""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from tempfile import TemporaryDirectory
from typing import BinaryIO

from chaos_core.errors import EmptyData, UnreadableFile
from chaos_core.readers.bounds import bound_expansion, bound_members
from chaos_core.readers.options import ReadOptions
from chaos_core.readers.refusals import NestedCompression, unreadable

__all__ = ["ENDINGS", "inflated"]

GZIP, ZSTD, SKIPPABLE = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\x2a\x4d\x18"
ENDINGS = (".gz", ".gzip", ".zst", ".zstd")
PIECE_BYTES = 1024 * 1024
ZSTD_PIECE_BYTES = 1024
"""A piece of zstd may grow 32 000 times, and there is no bound on what one call gives back."""

MAX_WINDOW_BYTES = 128 * 1024 * 1024


@contextmanager
def inflated(file: Path, options: ReadOptions) -> Iterator[tuple[Path, ReadOptions]]:
    """The file itself, or its content where it is compressed with gzip or zstd, for as long as the context lasts.

    Args:
        file: any file.
        options: its limits bound the content; its name loses the ending of the compression.

    Raises:
        ExpandsTooFar: more than `max_expanded_bytes`, or out of proportion.
        NestedCompression: the content is compressed once more.
        UnreadableFile: cut off, damaged, followed by other bytes, or a zstd window above 128 MiB.
        TooManyMembers: more pieces in a row than `max_file_members`, each compressed for itself.
        EmptyData: nothing inside.
    """
    with file.open("rb") as packed:
        kind = _kind(packed.read(4))
        packed.seek(0)
        if kind is None:
            yield file, options
            return
        with TemporaryDirectory(prefix="inflated-") as folder:
            target = Path(folder) / "content"
            _inflate(packed, kind, target, options)
            name = options.name or file.name
            if PurePath(name).suffix.lower() in ENDINGS:
                name = PurePath(name).stem
            yield target, options.model_copy(update={"name": name})


def _kind(head: bytes) -> str | None:
    if head[:2] == GZIP:
        return "gzip"
    return "zstd" if head[:4] == ZSTD or (head[1:4] == SKIPPABLE and head[0] & 0xF0 == 0x50) else None


def _inflate(packed: BinaryIO, kind: str, target: Path, options: ReadOptions) -> None:
    expanded, head = 0, b""
    with target.open("wb") as out, unreadable(f"the {kind} stream"):
        for piece in _gunzipped(packed, options) if kind == "gzip" else _unzstd(packed, options):
            head = head if len(head) == 4 else (head + piece)[:4]
            if _kind(head) is not None:
                raise NestedCompression(f"the content of the {kind} file is compressed itself")
            expanded += len(piece)
            bound_expansion(expanded, packed.tell(), options)
            out.write(piece)
    if not expanded:
        raise EmptyData(f"the {kind} file is empty inside")


def _gunzipped(packed: BinaryIO, options: ReadOptions) -> Iterator[bytes]:
    members, rest = 0, packed.read(PIECE_BYTES)
    while rest:
        if members and not rest.strip(b"\0"):
            rest = packed.read(PIECE_BYTES)
            continue
        if members and not rest.startswith(GZIP[: len(rest)]):
            raise UnreadableFile("other bytes follow the gzip stream")
        members += 1
        bound_members(members, options)
        stream = zlib.decompressobj(wbits=31)
        while not stream.eof:
            if not rest:
                rest = packed.read(PIECE_BYTES)
                if not rest:
                    raise UnreadableFile("the gzip stream is cut off")
            piece = stream.decompress(rest, PIECE_BYTES)
            rest = stream.unconsumed_tail
            if piece:
                yield piece
        rest = stream.unused_data or packed.read(PIECE_BYTES)


def _unzstd(packed: BinaryIO, options: ReadOptions) -> Iterator[bytes]:
    from zstandard import ZstdDecompressor

    frames, rest = 0, packed.read(ZSTD_PIECE_BYTES)
    while rest:
        frames += 1
        bound_members(frames, options)
        stream = ZstdDecompressor(max_window_size=MAX_WINDOW_BYTES).decompressobj()
        while not stream.eof:
            if not rest:
                raise UnreadableFile("the zstd stream is cut off")
            piece = stream.decompress(rest)
            rest = b"" if stream.eof else packed.read(ZSTD_PIECE_BYTES)
            if piece:
                yield piece
        rest = stream.unused_data or packed.read(ZSTD_PIECE_BYTES)
