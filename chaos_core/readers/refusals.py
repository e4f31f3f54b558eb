"""Why a file is refused before its numbers are looked at: what is too large, hidden, foreign or contradictory.

DataError
├── FormatMismatch, AmbiguousDataset, UnknownDataset
├── ExpandsTooFar, TooManyMembers, NestedTooDeep, HeaderTooLong, NestedCompression
├── UnsafeArchive, DuplicateName, ExternalReference, UnknownFilter
└── ReaderCrashed
"""

from collections.abc import Iterator
from contextlib import contextmanager

from chaos_core.errors import ChaosError, DataError, UnreadableFile

__all__ = [
    "AmbiguousDataset",
    "DuplicateName",
    "ExpandsTooFar",
    "ExternalReference",
    "FormatMismatch",
    "HeaderTooLong",
    "NestedCompression",
    "NestedTooDeep",
    "ReaderCrashed",
    "TooManyMembers",
    "UnknownDataset",
    "UnknownFilter",
    "UnsafeArchive",
    "printable",
    "unreadable",
]


class FormatMismatch(DataError):
    """The bytes are of another format than `format` or the file's ending says; fields `said`, `found`."""

    code = "format_mismatch"
    title = "The bytes are of another format than was said"
    remedy = "Leave `format` out, or give the file the ending of what it is."


class AmbiguousDataset(DataError):
    """Several arrays, and nothing says which; field `candidates`."""

    code = "ambiguous_dataset"
    title = "The file holds several arrays"
    remedy = "Name one with `dataset`, or several together with arrays=columns or arrays=stretches."


class UnknownDataset(DataError):
    """An array that was asked for and is not there; fields `dataset`, `known`."""

    code = "unknown_dataset"
    title = "There is no such array in the file"
    remedy = "Use one of the names listed in `known`."


class ExpandsTooFar(DataError):
    """The content is far larger than the file; fields `value`, `limit`."""

    code = "expands_too_far"
    title = "The file expands too far"
    remedy = "Send fewer numbers, or send them uncompressed; GET /v1/limits shows the limits."


class TooManyMembers(DataError):
    """More arrays, groups or parts than allowed; fields `value`, `limit`."""

    code = "too_many_members"
    title = "The file holds too many parts"
    remedy = "Send a file with only the arrays that are needed."


class NestedTooDeep(DataError):
    """Lists, objects or groups within each other; fields `value`, `limit`."""

    code = "nested_too_deep"
    title = "The file is nested too deeply"
    remedy = "Send rows or columns of numbers, without further nesting."


class HeaderTooLong(DataError):
    """A header or a name that no table of numbers needs; fields `value`, `limit`."""

    code = "header_too_long"
    title = "A header of the file is too long"
    remedy = "Write the file anew with the numbers alone, and with short names."


class NestedCompression(DataError):
    """A compressed file within a compressed file."""

    code = "nested_compression"
    title = "The file is compressed twice"
    remedy = "Compress the file once, or not at all."


class UnsafeArchive(DataError):
    """A ZIP whose members leave its folder, are encrypted or packed in an unusual way; field `member`."""

    code = "unsafe_archive"
    title = "The archive cannot be trusted"
    remedy = "Write it with np.savez or np.savez_compressed."


class DuplicateName(DataError):
    """Two parts of one name; field `name`."""

    code = "duplicate_name"
    title = "Two parts of the file have one name"
    remedy = "Give each array or column a name of its own."


class ExternalReference(DataError):
    """HDF5 that points to other files; field `name`."""

    code = "external_reference"
    title = "The file refers to other files"
    remedy = "Copy the numbers into one file, without external links, virtual datasets or external storage."


class UnknownFilter(DataError):
    """A compression that is not read here; fields `name`, `filter`."""

    code = "unknown_filter"
    title = "The numbers are packed in an unknown way"
    remedy = "Store them uncompressed or with gzip."


class ReaderCrashed(DataError):
    """The reading process broke down on the bytes; field `signal`."""

    code = "reader_crashed"
    title = "The reader broke down on the file"
    remedy = "The file is probably damaged: write it again, or send the same numbers as .npy or .csv."


def printable(text: object, longest: int = 80) -> str:
    """Text from a file, fit for messages and names: no control characters, no halves of characters, not long."""
    whole = str(text)[: longest + 1].encode("utf-8", "replace").decode()
    shown = "".join(sign if sign.isprintable() else " " for sign in whole)
    return shown if len(shown) <= longest else shown[: longest - 3] + "..."


@contextmanager
def unreadable(what: str) -> Iterator[None]:
    """Whatever a parsing library raises on damaged bytes becomes one error.

    Args:
        what: what is being read, for the message.

    Raises:
        UnreadableFile: in place of any exception but our own and MemoryError.
    """
    try:
        yield
    except (ChaosError, MemoryError):
        raise
    except Exception as error:
        why = printable(error, 200) or type(error).__name__
        raise UnreadableFile(f"{what} cannot be read: {why}") from error
