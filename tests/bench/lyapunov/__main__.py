"""./scripts/bench lyapunov [--quick] [--processes N] [--picture FILE]: ours beside nolds and neurokit2."""

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from chaos_core.analysis import analyse
from chaos_core.errors import ChaosError
from chaos_core.reconstruction import dominant_period, estimate_lag
from chaos_core.series import Series
from tests.bench.journal import say
from tests.bench.lyapunov.cases import CONDITIONS, Condition, Flow, controls, flows, maps, seen_by
from tests.bench.lyapunov.picture import against_truth
from tests.bench.lyapunov.scores import Estimate, accuracy, intervals

ROOT = Path(__file__).parents[3]
CACHE = ROOT / ".bench"
PEER_PYTHON = ROOT / ".venv-bench" / "bin" / "python"
PEER_ROWS = 8000
SEEDS = 20
QUICK_STRIDE = 3
"""Odd, so that both halves keep their flows."""

ACCURACY = ("flows", "median error", "p90", "within 20 %", "Spearman")


def head(*columns: str) -> None:
    say(f"\n| {' | '.join(columns)} |\n{'|---' * len(columns)}|")


def ours(flow: Flow) -> Estimate:
    began = time.perf_counter()
    try:
        found = analyse(Series(flow.x, dt=flow.dt))
    except ChaosError as error:
        return Estimate(flow.name, flow.exponent, None, verdict=error.code)
    seconds = time.perf_counter() - began
    ends = found.lambda_low_per_step, found.lambda_high_per_step
    return Estimate(flow.name, flow.exponent, found.lambda_max_per_step, *ends, found.verdict.value, seconds)


def theirs(seen: Iterable[Flow], *peers: str) -> dict[str, list[Estimate]]:
    """Each peer's answers (of all where none is named), from its own interpreter."""
    held, true = {}, {}
    for flow in seen:
        x = flow.x[:PEER_ROWS, 0]
        period = dominant_period(x[:, None])
        held[flow.name], true[flow.name] = x, flow.exponent
        held[f"{flow.name}/period_and_lag"] = np.array([period, estimate_lag(x[:, None], period)[0]])
    with tempfile.TemporaryDirectory() as folder:
        series, answers = Path(folder, "series.npz"), Path(folder, "answers.json")
        np.savez(series, **held)
        subprocess.run([PEER_PYTHON, Path(__file__).with_name("peers.py"), series, answers, *peers], check=True)
        told = json.loads(answers.read_text())
    found: dict[str, list[Estimate]] = {}
    for name, by_peer in told.items():
        for peer, answer in by_peer.items():
            if "reason" in answer:
                say(f"  {peer} gave no answer for {name}: {answer['reason']}")
            found.setdefault(peer, []).append(Estimate(name, true[name], answer["value"], seconds=answer["seconds"]))
    return found


def show(title: str, found: list[Estimate]) -> None:
    """Both halves of the alphabet, by even and odd place: settings are to be chosen on one, reported on the other.

    Most of today's were; some late ones were chosen on both.
    """
    seconds = np.median([estimate.seconds for estimate in found])
    verdicts = np.mean([estimate.verdict == "chaotic" for estimate in found])
    spread = intervals(found) if any(estimate.low is not None for estimate in found) else " | "
    halves = " | ".join(f"{np.median([e.error for e in half]):.3f}" for half in (found[::2], found[1::2]))
    chaos = f"{verdicts:.0%}" if found[0].verdict else ""
    say(f"| {title} | {len(found)} | {accuracy(found)} | {halves} | {spread} | {chaos} | {seconds:.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(prog="./scripts/bench lyapunov", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="every third flow, three seeds of the controls, no peers")
    parser.add_argument("--processes", type=int, default=1, help="more are faster and spoil the seconds")
    parser.add_argument("--worst", type=int, default=0, help="name so many of the worst of each condition")
    parser.add_argument("--picture", type=Path, help="only draw estimated against true exponents, ours and nolds'")
    how = parser.parse_args()
    known = flows(CACHE / "flows")[:: QUICK_STRIDE if how.quick else 1]
    with ProcessPoolExecutor(how.processes) as pool:
        if how.picture is not None:
            seen = [seen_by(Condition("", channels=1, rows=PEER_ROWS), flow) for flow in known]
            full = [seen_by(CONDITIONS[0], flow) for flow in known]
            panels = {
                "chaos-service, all coordinates": list(pool.map(ours, full)),
                "chaos-service, one coordinate": list(pool.map(ours, seen)),
                "nolds lyap_r, one coordinate": theirs(seen, "nolds lyap_r")["nolds lyap_r"],
            }
            how.picture.write_bytes(against_truth(panels))
            return
        head("condition", *ACCURACY, "median, even place", "odd place", "inside 90 %", "width", "chaotic", "s")
        for condition in CONDITIONS:
            found = list(pool.map(ours, [seen_by(condition, flow) for flow in known]))
            show(condition.title, found)
            for bad in sorted(found, key=lambda estimate: -estimate.error)[: how.worst]:
                say(f"  {bad.name}: {bad.error:.2f} ({bad.value} for {bad.true:.5f}, {bad.verdict})")
        show_maps(pool)
        show_controls(pool, known, 3 if how.quick else SEEDS)
        if not how.quick:
            show_peers(pool, known)


def show_maps(pool: ProcessPoolExecutor) -> None:
    head("map", "true", "ours", "error", "verdict")
    for found in pool.map(ours, maps()):
        say(f"| {found.name} | {found.true:.4f} | {found.value or 0:.4f} | {found.error:.3f} | {found.verdict} |")


def show_controls(pool: ProcessPoolExecutor, known: list[Flow], seeds: int) -> None:
    lorenz = next((flow.x[:, 0] for flow in flows(CACHE / "flows") if flow.name == "Lorenz"), known[0].x[:, 0])
    head("control", "noise", "called chaotic", "verdicts")
    wrong = total = 0
    for noise in (0.0, 0.02):
        made = list(controls(lorenz, seeds, noise))
        found = list(pool.map(ours, [Flow(name, x, 1.0, 0.0) for name, x in made], chunksize=2))
        for name in dict.fromkeys(name for name, _ in made):
            verdicts = [estimate.verdict for estimate in found if estimate.name == name]
            chaotic = verdicts.count("chaotic")
            wrong, total = wrong + chaotic, total + len(verdicts)
            counts = ", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in sorted(set(verdicts)))
            say(f"| {name} | {noise:.0%} | {chaotic} of {len(verdicts)} | {counts} |")
    say(f"false positives: {wrong} of {total}, {wrong / total:.1%}")


def show_peers(pool: ProcessPoolExecutor, known: list[Flow]) -> None:
    head(f"first coordinate, {PEER_ROWS} rows", *ACCURACY, "error / ours", "s")
    for noise in (0.0, 0.02):
        condition = Condition("", channels=1, rows=PEER_ROWS, noise=noise)
        seen = [seen_by(condition, flow) for flow in known]
        own = list(pool.map(ours, seen))
        least = np.median([estimate.error for estimate in own])
        for peer, found in ({"ours": own} | theirs(seen)).items():
            ratio = np.median([estimate.error for estimate in found]) / least
            seconds = np.median([estimate.seconds for estimate in found])
            say(f"| {peer}, {noise:.0%} noise | {len(found)} | {accuracy(found)} | {ratio:.1f} | {seconds:.2f} |")


if __name__ == "__main__":
    main()
