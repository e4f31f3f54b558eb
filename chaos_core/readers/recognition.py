"""Which format a file is in: its first bytes say, else its name, else the media type that came with it."""

from pathlib import Path, PurePath

from chaos_core.errors import PickleRefused, UnknownFormat, UnreadableFile
from chaos_core.readers.formats import Format, formats
from chaos_core.readers.options import ReadOptions
from chaos_core.readers.refusals import FormatMismatch, printable

__all__ = ["recognised"]

HEAD_BYTES = 4096
OTHERS = {
    b"BZh": "compressed with bzip2",
    b"\xfd7zXZ": "compressed with xz",
    b"\xd0\xcf\x11\xe0": "an old Office file",
    b"%PDF": "a PDF",
    b"\x89PNG": "a picture",
    b"RIFF": "a sound or video file",
    b"<": "HTML or XML",
}
WIDE_BOMS = (b"\xff\xfe", b"\xfe\xff")


def recognised(file: Path, kind: str, options: ReadOptions) -> Format:
    """The format of an uncompressed file.

    Args:
        file: the file.
        kind: what the sender says, or "auto".
        options: of these `name` and `content_type`.

    Raises:
        UnknownFormat: there is no such format, or nothing tells it.
        FormatMismatch: the bytes contradict `kind` or the name.
        PickleRefused, UnreadableFile: a pickle; binary bytes where text was announced.
    """
    known, name = formats(), printable(options.name or file.name)
    if kind != "auto" and kind not in known:
        raise UnknownFormat(f"there is no format '{printable(kind)}'", format=printable(kind), known=sorted(known))
    with file.open("rb") as content:
        head = content.read(HEAD_BYTES)
    seen = [found for found in known.values() if found.recognises is not None and found.recognises(head)]
    told = _by_name(options.name or file.name)
    if kind != "auto":
        return _said(known[kind], seen, f"format={kind}", head)
    if seen:
        return told if told in seen else seen[0]
    for start, what in OTHERS.items():
        if head.startswith(start):
            raise UnknownFormat(f"'{name}' is {what}", name=name)
    if head.startswith(b"\x80") and b"\0" in head:
        raise PickleRefused(f"'{name}' is a pickle", name=name)
    told = told or _by_type(options.content_type)
    if told is not None:
        return _said(told, seen, f"the name '{name}'", head)
    if not _is_text(head):
        raise UnknownFormat(f"neither the name '{name}' nor the bytes tell the format", name=name)
    return known["csv"]


def _by_name(name: str) -> Format | None:
    ending = PurePath(name).suffix.lower()
    return next((found for found in formats().values() if ending in found.endings), None)


def _by_type(content_type: str | None) -> Format | None:
    plain = (content_type or "").partition(";")[0].strip().lower()
    return next((found for found in formats().values() if plain in found.content_types), None)


def _said(said: Format, seen: list[Format], by: str, head: bytes) -> Format:
    """The format that was named, unless the bytes are surely something else."""
    if head.startswith(b"\x80") and b"\0" in head and said.recognises is not None:
        raise PickleRefused("the file is a pickle, which is never opened")
    others = [found for found in seen if not found.vague]
    if said in seen or (said.recognises is None and not others):
        if said.kind == "csv" and b"\0" in head and not head.startswith(WIDE_BOMS):
            raise UnreadableFile("the file holds binary bytes, not text")
        return said
    found = others[0].kind if others else ("text" if _is_text(head) else "unknown")
    detail = f"{by} says {said.kind}, but the file does not begin as one" + (f": it is {found}" if others else "")
    raise FormatMismatch(detail, said=said.kind, found=found)


def _is_text(head: bytes) -> bool:
    odd = sum(byte < 32 and byte not in b"\t\n\r\f" for byte in head)
    return odd == 0
