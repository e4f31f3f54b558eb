"""Files that mean harm: each with the code that refuses it."""

import gzip
import io
import json
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import scipy.io
import zstandard

from tests.core import files
from tests.core.files import X

MIB = 1024 * 1024


class Attack(NamedTuple):
    """A file, made when it is needed, and the code of its refusal."""

    name: str
    make: Callable[[], bytes]
    code: str
    words: dict[str, Any] = {}  # noqa: RUF012


def header_of_npy(text: str, version: int = 1, length: int | None = None) -> bytes:
    body = text.ljust(118).encode()
    width = 2 if version == 1 else 4
    return b"\x93NUMPY" + bytes([version, 0]) + (length or len(body)).to_bytes(width, "little") + body


def shaped(shape: str, descr: str = "'<f8'") -> bytes:
    return header_of_npy(f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}")


def archive(*members: tuple[str, bytes], packing: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", packing) as made:
        for name, content in members:
            made.writestr(name, content)
    return buffer.getvalue()


def zip_bomb() -> bytes:
    zeros = np.zeros((12_000_000, 1), np.float64)
    return files.npz(packed=True, **{f"run{i}": zeros for i in range(2)})


def crowd(count: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        for i in range(count):
            made.writestr(f"{i}.npy", b"")
    return buffer.getvalue()


def lying_member() -> bytes:
    """The list says that a member is far longer than it is."""
    content = bytearray(files.npz(packed=True, x=X))
    place = content.rfind(b"PK\x01\x02")
    content[place + 24 : place + 28] = struct.pack("<I", 3_000_000_000)
    return bytes(content)


def encrypted() -> bytes:
    content = bytearray(files.npz(x=X))
    for mark, at in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        content[content.rfind(mark) + at] |= 1
    return bytes(content)


def twice() -> bytes:
    content = archive(("a.npy", files.npy()), ("b.npy", files.npy()))
    return content.replace(b"b.npy", b"a.npy")


class Touch:
    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("unpickled",))


def objects() -> np.ndarray[Any, Any]:
    return np.array([Touch()] * 40, dtype=object)


def external_link(file: h5py.File) -> None:
    file["x"] = X
    file["out"] = h5py.ExternalLink("/etc/passwd", "/x")


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((40, 3), "f8")
    layout[:] = h5py.VirtualSource("/etc/other.h5", "x", (40, 3))
    file.create_virtual_dataset("x", layout)


def external_storage(file: h5py.File) -> None:
    file.create_dataset("x", (40,), "u1", external=[("/etc/passwd", 0, 40)])


def unknown_filter(file: h5py.File) -> None:
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_chunk((10, 3))
    plan.set_filter(32015, h5py.h5z.FLAG_OPTIONAL, (3,))
    h5py.h5d.create(file.id, b"x", h5py.h5t.IEEE_F64LE, h5py.h5s.create_simple((40, 3)), plan)


def deep_groups(file: h5py.File) -> None:
    file["/".join("g" * 40) + "/x"] = X


def cycle(file: h5py.File) -> None:
    group = file.create_group("a")
    group["a"] = group
    file["x"] = X


def many_links(file: h5py.File) -> None:
    for i in range(2000):
        file.create_group(f"g{i}")


def absurd_space(file: h5py.File) -> None:
    file.create_dataset("x", (2**50, 3), "f8", chunks=(1000, 3))


def zeros_only(file: h5py.File) -> None:
    file.create_dataset("x", (20_000_000, 2), "f8", chunks=(1000, 2))


def huge_chunk(file: h5py.File) -> None:
    file.create_dataset("x", (40, 3), "f8", maxshape=(None, None), chunks=(16_000_000, 30), compression="gzip")


def cut_parquet() -> bytes:
    return files.parquet()[:-40]


def lying_rows(claimed: int) -> bytes:
    """The footer announces far more rows than there are: the counts are patched in its compact Thrift."""
    rows = 40
    content = files.parquet(files.frame(x=X[:, 0]), compression="uncompressed", statistics=False)
    length = int.from_bytes(content[-8:-4], "little")
    body, footer = content[: -8 - length], content[-8 - length : -8]
    small, large = bytes([0x16, 2 * rows]), b"\x16" + varint(2 * claimed)
    footer = footer.replace(small, large)
    return body + footer + len(footer).to_bytes(4, "little") + b"PAR1"


def elsewhere() -> bytes:
    """The first column chunk gets a file_path, field 1 of its structure, before its file_offset."""
    content = files.parquet(files.frame(x=X[:, 0]), statistics=False)
    length = int.from_bytes(content[-8:-4], "little")
    body, footer = content[: -8 - length], content[-8 - length : -8]
    marked = footer.replace(b"\x19\x1c\x19\x1c\x26", b"\x19\x1c\x19\x1c\x18\x04/etc\x16", 1)
    assert marked != footer
    return body + marked + len(marked).to_bytes(4, "little") + b"PAR1"


def varint(number: int) -> bytes:
    found = b""
    while number >= 128:
        found += bytes([number % 128 | 128])
        number //= 128
    return found + bytes([number])


def footer_beyond() -> bytes:
    content = bytearray(files.parquet())
    content[-8:-4] = struct.pack("<I", 2_000_000_000)
    return bytes(content)


def absurd_netcdf() -> bytes:
    content = bytearray(files.netcdf(records=False))
    place = content.index(b"time")
    content[place + 4 : place + 8] = struct.pack(">I", 2**31 - 9)
    return bytes(content)


def many_netcdf() -> bytes:
    return b"CDF\x01" + struct.pack(">3I", 0, 10, 2**31 - 1) + bytes(64)


def mat_bomb() -> bytes:
    """A variable of 24 MB of zeros that inflates from a few kB, and says it has 8 GB."""
    inner = struct.pack("<2I", 14, 2**32 - 9) + bytes(24 * MIB)
    packed = zlib.compress(inner, 9)
    return files.mat()[:128] + struct.pack("<2I", 15, len(packed)) + packed


def mat_shape() -> bytes:
    content = bytearray(files.mat())
    place = content.index(struct.pack("<2i", 40, 3))
    content[place : place + 8] = struct.pack("<2i", 2**31 - 1, 2)
    return bytes(content)


def mat_objects(name: str) -> bytes:
    return (Path(scipy.io.__file__).parent / "matlab" / "tests" / "data" / name).read_bytes()


def lying_gzip() -> bytes:
    return gzip.compress(files.csv())[:-4] + struct.pack("<I", 12)


def wide_zstd() -> bytes:
    """A stream that announces a window of 1 GiB."""
    words = zstandard.ZstdCompressionParameters(window_log=30, enable_ldm=1)
    stream = zstandard.ZstdCompressor(compression_params=words).compressobj()
    return stream.compress(files.csv()) + stream.flush()


def packed(content: bytes, level: int = 9) -> bytes:
    return gzip.compress(content, level)


ATTACKS: dict[str, Attack] = {
    "zip bomb in npz": Attack("a.npz", zip_bomb, "expands_too_far"),
    "npz with 10^5 members": Attack("a.npz", lambda: crowd(100_000), "too_many_members"),
    "npz with a lying size": Attack("a.npz", lying_member, "expands_too_far"),
    "npz that leaves its folder": Attack("a.npz", lambda: archive(("../x.npy", files.npy())), "unsafe_archive"),
    "npz with an absolute name": Attack("a.npz", lambda: archive(("/etc/x.npy", files.npy())), "unsafe_archive"),
    "npz with one name twice": Attack("a.npz", twice, "duplicate_name"),
    "npz with a password": Attack("a.npz", encrypted, "unsafe_archive"),
    "npz packed with lzma": Attack(
        "a.npz", lambda: archive(("x.npy", files.npy()), packing=zipfile.ZIP_LZMA), "unsafe_archive"
    ),
    "npz of objects": Attack("a.npz", lambda: files.npz(x=objects()), "pickle_refused"),
    "npz that is an xlsx": Attack("a.npz", lambda: archive(("[Content_Types].xml", b"<a/>")), "unknown_format"),
    "npz cut off": Attack("a.npz", lambda: files.npz()[:-30], "unreadable_file"),
    "npy of objects": Attack("a.npy", lambda: files.npy(objects(), allow_pickle=True), "pickle_refused"),
    "pickle called npy": Attack("a.npy", lambda: pickle.dumps([Touch()]), "pickle_refused"),
    "npy with a huge header": Attack("a.npy", lambda: header_of_npy("{", 2, 2**31 - 1), "header_too_long"),
    "npy with a negative shape": Attack("a.npy", lambda: shaped("(-40, 3)"), "unreadable_file"),
    "npy of 2^60 rows": Attack("a.npy", lambda: shaped(f"({2**60},)"), "data_too_large"),
    "npy with code as header": Attack("a.npy", lambda: header_of_npy("__import__('os')"), "unreadable_file"),
    "npy with nested brackets": Attack("a.npy", lambda: header_of_npy("(" * 9000), "unreadable_file"),
    "npy cut off": Attack("a.npy", lambda: files.npy()[:-1], "unreadable_file"),
    "gzip within gzip": Attack("a.csv.gz", lambda: packed(packed(files.csv())), "nested_compression"),
    "zstd within gzip": Attack("a.csv.gz", lambda: packed(files.zst(files.csv())), "nested_compression"),
    "gzip bomb": Attack("a.csv.gz", lambda: packed(bytes(256 * MIB), 6), "expands_too_far"),
    "gzip with a lying size": Attack("a.csv.gz", lying_gzip, "unreadable_file"),
    "gzip with bytes behind it": Attack("a.csv.gz", lambda: packed(files.csv()) + b"more", "unreadable_file"),
    "gzip of 10^5 empty pieces": Attack("a.csv.gz", lambda: packed(b"") * 100_000, "too_many_members"),
    "gzip of nothing": Attack("a.csv.gz", lambda: packed(b""), "empty_data"),
    "gzip cut off": Attack("a.csv.gz", lambda: packed(files.csv())[:-9], "unreadable_file"),
    "zstd bomb": Attack("a.csv.zst", lambda: files.zst(bytes(256 * MIB)), "expands_too_far"),
    "zstd with a huge window": Attack("a.csv.zst", wide_zstd, "unreadable_file"),
    "zstd with bytes behind it": Attack("a.csv.zst", lambda: files.zst(files.csv()) + b"more", "unreadable_file"),
    "zstd cut off": Attack("a.csv.zst", lambda: files.zst(files.csv())[:-9], "unreadable_file"),
    "csv of 10^6 columns": Attack("a.csv", lambda: b",".join([b"1"] * 10**6) + b"\n", "data_too_large"),
    "csv of 5000 columns": Attack("a.csv", lambda: (b",".join([b"1"] * 5000) + b"\n") * 40, "data_too_large"),
    "csv of one line of 100 MB": Attack("a.csv", lambda: b"1" * 100 * MIB, "data_too_large"),
    "csv with NUL bytes": Attack("a.csv", lambda: files.csv() + b"1,\0,3\n", "unreadable_file"),
    "csv with a late NUL byte": Attack("a.csv", lambda: files.csv() + b"1,2,3\n" * 2000 + b"\0\n", "unreadable_file"),
    "csv in UTF-16": Attack("a.csv", lambda: files.csv().decode().encode("utf-16"), "unreadable_file"),
    "csv with uneven rows": Attack("a.csv", lambda: files.csv() + b"1,2\n", "ragged_row"),
    "csv with an open quotation": Attack("a.csv", lambda: files.csv() + b'1,"2,3\n', "unreadable_file"),
    "csv with a name of 100 kB": Attack("a.csv", lambda: files.csv(header="a,b," + "c" * 100_000), "header_too_long"),
    "csv of text": Attack("a.csv", lambda: b"once upon a time\n" * 40, "column_not_numeric"),
    "json of 10^6 brackets": Attack("a.json", lambda: b"[" * 10**6, "nested_too_deep"),
    "json of 10^6 objects": Attack("a.json", lambda: b'{"a":' * 10**6, "nested_too_deep"),
    "json with one name twice": Attack("a.json", lambda: b'{"a":[1,2],"a":[3,4]}', "duplicate_name"),
    "json with a number of 10^5 digits": Attack("a.json", lambda: b"[" + b"9" * 10**5 + b"]", "unreadable_file"),
    "json cut off": Attack("a.json", lambda: files.rows_of_json()[:-9], "unreadable_file"),
    "json of 10^5 columns": Attack("a.json", lambda: json.dumps([[1] * 10**5] * 2).encode(), "data_too_large"),
    "hdf5 with an external link": Attack("a.h5", lambda: files.hdf5(external_link), "external_reference"),
    "hdf5 with a virtual dataset": Attack("a.h5", lambda: files.hdf5(virtual), "external_reference"),
    "hdf5 with external storage": Attack("a.h5", lambda: files.hdf5(external_storage), "external_reference"),
    "hdf5 with an unknown filter": Attack("a.h5", lambda: files.hdf5(unknown_filter), "unknown_filter"),
    "hdf5 with 40 levels": Attack("a.h5", lambda: files.hdf5(deep_groups), "nested_too_deep"),
    "hdf5 that contains itself": Attack("a.h5", lambda: files.hdf5(cycle), "nested_too_deep"),
    "hdf5 of 2000 groups": Attack("a.h5", lambda: files.hdf5(many_links), "too_many_members"),
    "hdf5 of 2^50 rows": Attack("a.h5", lambda: files.hdf5(absurd_space), "data_too_large"),
    "hdf5 of zeros that are not there": Attack("a.h5", lambda: files.hdf5(zeros_only), "expands_too_far"),
    "hdf5 with a chunk of 4 GB": Attack("a.h5", lambda: files.hdf5(huge_chunk), "expands_too_far"),
    "hdf5 cut off": Attack("a.h5", lambda: files.hdf5()[:-900], "unreadable_file"),
    "parquet with a lying footer": Attack("a.parquet", lambda: lying_rows(4_000_000), "unreadable_file"),
    "parquet of 40 million zeros": Attack(
        "a.parquet", lambda: files.parquet(files.frame(x=np.zeros(40_000_000))), "expands_too_far"
    ),
    "parquet kept in another file": Attack("a.parquet", elsewhere, "external_reference"),
    "parquet with a footer of 2 GB": Attack("a.parquet", footer_beyond, "unreadable_file"),
    "parquet cut off": Attack("a.parquet", cut_parquet, "unreadable_file"),
    "netcdf with absurd dimensions": Attack("a.nc", absurd_netcdf, "data_too_large"),
    "netcdf with 2^31 dimensions": Attack("a.nc", many_netcdf, "too_many_members"),
    "netcdf cut off": Attack("a.nc", lambda: files.netcdf()[:-9], "unreadable_file"),
    "netcdf 4 cut off": Attack("a.nc", lambda: files.netcdf4()[:-900], "unreadable_file"),
    "mat with a function handle": Attack("a.mat", lambda: mat_objects("testfunc_7.4_GLNX86.mat"), "not_real"),
    "mat with an object": Attack("a.mat", lambda: mat_objects("testobject_7.4_GLNX86.mat"), "not_real"),
    "mat bomb": Attack("a.mat", mat_bomb, "expands_too_far"),
    "mat with a lying shape": Attack("a.mat", mat_shape, "data_too_large"),
    "mat cut off": Attack("a.mat", lambda: files.mat()[:-9], "unreadable_file"),
    "mat 4 cut off": Attack("a.mat", lambda: files.mat("4")[:-9], "unreadable_file"),
    "mat 7.3 cut off": Attack("a.mat", lambda: files.mat73()[:-900], "unreadable_file"),
    "a program called csv": Attack("a.csv", lambda: b"\x7fELF" + bytes(range(256)) * 20, "unreadable_file"),
    "csv called parquet": Attack("a.parquet", files.csv, "format_mismatch"),
}
