"""Files of every format, written by the libraries that own them, around one recording."""

import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import polars as pl
import scipy.io
import zstandard

ROWS = 40
X = np.random.default_rng(0).standard_normal((ROWS, 3))
CLOCK = 0.02 * np.arange(ROWS)
NAMES = ("a", "b", "c")


def npy(array: Any = X, **words: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, **words)
    return buffer.getvalue()


def npz(packed: bool = False, **arrays: Any) -> bytes:
    buffer = io.BytesIO()
    (np.savez_compressed if packed else np.savez)(buffer, **(arrays or {"x": X}))
    return buffer.getvalue()


def csv(x: Any = X, header: str = "a,b,c") -> bytes:
    return "\n".join([header, *(",".join(map(repr, row)) for row in np.asarray(x).tolist()), ""]).encode()


def frame(**columns: Any) -> pl.DataFrame:
    return pl.DataFrame(columns or {"time": CLOCK, **{name: X[:, i] for i, name in enumerate(NAMES)}})


def parquet(table: pl.DataFrame | None = None, **words: Any) -> bytes:
    buffer = io.BytesIO()
    (frame() if table is None else table).write_parquet(buffer, **words)
    return buffer.getvalue()


def hdf5(write: Callable[[h5py.File], None] | None = None, **words: Any) -> bytes:
    """In memory, so that a file needs no path; `words` are those of h5py.File."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", **words) as file:
        if write is None:
            file.create_dataset("run/x", data=X, chunks=(10, 3), compression="gzip", shuffle=True)
        else:
            write(file)
    return buffer.getvalue()


def mat(version: str = "5", packed: bool = False, **variables: Any) -> bytes:
    buffer = io.BytesIO()
    scipy.io.savemat(buffer, variables or {"x": X}, format=version, do_compression=packed)
    return buffer.getvalue()


def mat73(**variables: Any) -> bytes:
    """As MATLAB 7.3 lays it out: 512 bytes of its own, axes turned round, the class beside each array."""

    def write(file: h5py.File) -> None:
        for name, values in (variables or {"x": X}).items():
            made = file.create_dataset(name, data=np.atleast_2d(values).T)
            made.attrs["MATLAB_class"] = np.bytes_("double")

    content = bytearray(hdf5(write, userblock_size=512))
    content[:128] = b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM"
    return bytes(content)


def netcdf(version: int = 1, records: bool = True, **variables: Any) -> bytes:
    buffer = io.BytesIO()
    file = scipy.io.netcdf_file(buffer, "w", version=version)
    file.createDimension("time", None if records else ROWS)
    file.createDimension("channel", 3)
    for name, values in (variables or {"time": CLOCK, "x": X}).items():
        made = file.createVariable(name, np.asarray(values).dtype.newbyteorder("="), ("time", "channel")[: values.ndim])
        made[:] = values
    file.flush()
    return buffer.getvalue()


def netcdf4() -> bytes:
    """As the NetCDF library lays it out: dimensions are HDF5's scales."""

    def write(file: h5py.File) -> None:
        time = file.create_dataset("time", data=CLOCK)
        channel = file.create_dataset("channel", data=np.zeros(3, ">f4"))
        x = file.create_dataset("x", data=X, chunks=(20, 3), compression="gzip")
        x.attrs["_FillValue"] = np.array([9.96921e36])
        time.make_scale("time")
        channel.make_scale("This is a netCDF dimension but not a netCDF variable.         3")
        x.dims[0].attach_scale(time)
        x.dims[1].attach_scale(channel)

    return hdf5(write)


def rows_of_json() -> bytes:
    names = ("time", *NAMES)
    table = np.c_[CLOCK, X].tolist()
    return json.dumps([dict(zip(names, row, strict=True)) for row in table]).encode()


def zst(content: bytes, **words: Any) -> bytes:
    return zstandard.ZstdCompressor(**words).compress(content)


WHOLE: dict[str, tuple[str, bytes]] = {
    "csv": ("a.csv", csv()),
    "tsv": ("a.tsv", csv().replace(b",", b"\t")),
    "npy": ("a.npy", npy()),
    "npz": ("a.npz", npz()),
    "npz packed": ("a.npz", npz(packed=True, x=X, time=CLOCK)),
    "parquet": ("a.parquet", parquet()),
    "parquet snappy": ("a.parquet", parquet(compression="snappy", row_group_size=7)),
    "hdf5": ("a.h5", hdf5()),
    "hdf5 latest": ("a.hdf5", hdf5(libver="latest")),
    "matlab 4": ("a.mat", mat("4")),
    "matlab 5": ("a.mat", mat("5")),
    "matlab 7": ("a.mat", mat("5", packed=True)),
    "matlab 7.3": ("a.mat", mat73()),
    "netcdf 1": ("a.nc", netcdf(1)),
    "netcdf 2": ("a.nc", netcdf(2, records=False)),
    "netcdf 4": ("a.nc", netcdf4()),
    "json rows": ("a.json", rows_of_json()),
    "json columns": ("a.json", json.dumps({name: X[:, i].tolist() for i, name in enumerate(NAMES)}).encode()),
    "json list": ("a.json", json.dumps(X.tolist()).encode()),
    "json split": ("a.json", json.dumps({"columns": NAMES, "data": X.tolist()}).encode()),
}
"""One good file of each way of writing, all of them the recording X."""

PACKED = {f"{kind} gz": (f"{name}.gz", gzip.compress(content)) for kind, (name, content) in WHOLE.items()} | {
    f"{kind} zst": (f"{name}.zst", zst(content)) for kind, (name, content) in WHOLE.items()
}


def put(folder: Path, name: str, content: bytes) -> Path:
    (folder / name).write_bytes(content)
    return folder / name
