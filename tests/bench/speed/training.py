"""A whole training step: windows, forward, loss, backward, Adam; B = 16, T = 200, float32."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from tests.bench.speed.cases import Case
from tests.bench.speed.timing import Json, Rounds, alternate, median_ms, ratio, shown, square_product
from tests.bench.speed.variants import MANY, fed, kernel, many_updates, peer, peer_clone, reference

__all__ = ["lines", "measured"]


def measured(cases: Sequence[Case], rounds: int) -> list[Json]:
    """One record for each case."""
    return [_record(case, rounds) for case in cases]


def _record(case: Case, rounds: int) -> Json:
    native, many, clone = kernel(case), many_updates(case), peer_clone(case)
    square, square_flops = square_product()
    variants: dict[str, Callable[[], object]] = {"peer": fed(case, peer(case)), "torch": fed(case, reference(case))}
    if clone is not None:
        variants["clone"] = fed(case, clone)
    if not isinstance(native, str):
        variants["native"] = fed(case, native)
    if many is not None:
        variants["native_many"] = many
    timed = alternate(variants | {"sgemm": square}, rounds)
    if "native_many" in timed:
        timed["native_many"] /= MANY
    record = {
        "name": case.name,
        "flops": case.flops(),
        "refusal": native if isinstance(native, str) else None,
        "sgemm_gflops": square_flops / float(np.median(timed["sgemm"])) / 1e9,
        "ms": {name: median_ms(timed[name]) for name in timed if name != "sgemm"},
        "ratios": _ratios(timed),
        "share_of_sgemm": None,
    }
    if "native" in timed:
        rate, peak = case.flops() / timed["native"], square_flops / timed["sgemm"]
        record["share_of_sgemm"] = float(np.median(rate / peak))
    return record


def _ratios(timed: Rounds) -> Json:
    pairs = [
        (slow, fast)
        for slow in ("peer", "clone")
        for fast in ("native", "native_many", "torch")
        if slow in timed and fast in timed
    ]
    return {f"{slow} / {fast}": ratio(timed[slow], timed[fast]) for slow, fast in pairs}


def lines(records: Sequence[Json]) -> Iterator[str]:
    """A table, and why some cases have no native step."""
    columns = ["configuration", "Mflop", "peer ms", "torch ms", "native ms", f"native ms, {MANY} a call"]
    ratios = ["peer / torch", "peer / native", "peer / native_many"]
    if any("clone" in record["ms"] for record in records):
        columns.append("clone ms")
        ratios += ["clone / torch", "clone / native"]
    yield f"| {' | '.join([*columns, *ratios, 'of sgemm'])} |"
    yield "|---" * (len(columns) + len(ratios) + 1) + "|"
    for record in records:
        share, ms = record["share_of_sgemm"], record["ms"]
        times = ["peer", "torch", "native", "native_many", *["clone"] * ("clone ms" in columns)]
        cells = [record["name"], f"{record['flops'] / 1e6:.1f}"]
        cells += [f"{ms[name]:.3g}" if name in ms else "none" for name in times]
        cells += [shown(record["ratios"].get(name)) for name in ratios]
        yield f"| {' | '.join(cells)} | {'none' if share is None else f'{share:.2f}'} |"
    yield "\npeer: replica of the peers' loop; torch: our engine without native step; clone: the authors' own modules."
    peaks = [record["sgemm_gflops"] for record in records]
    yield f"sgemm of 1024 rows: {min(peaks):.0f} to {max(peaks):.0f} GFLOP/s."
    for record in records:
        if record["refusal"]:
            yield f"{record['name']} has no native step: {record['refusal']}"
