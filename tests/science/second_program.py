"""A second program: HTTP (httpx) and numpy, nothing of this project.

It uploads a series, has a model trained, downloads the model and the stored trajectory, and rebuilds the model from the
safetensors file alone. Exit code 0 means that every check held. Example:

    python tests/science/second_program.py --service data/service.json --data lorenz.npy --spec '{}' --truth-rho 28
"""

import argparse
import hashlib
import io
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np

Json = dict[str, Any]
Array = np.ndarray[Any, Any]
FINISHED = ("succeeded", "failed", "cancelled")
DTYPES = {"F16": "<f2", "F32": "<f4", "F64": "<f8", "I32": "<i4", "I64": "<i8"}
TRANSIENT = 25_000


@dataclass(frozen=True)
class Model:
    """What the file says: arrays by name, and the JSON under the metadata key `chaos`."""

    arrays: dict[str, Array]
    config: Json

    def step(self, z: Array) -> Array:
        p = self.arrays
        if self.config["cell"] == "clipped_shplrnn":
            u, width = z @ p["W2"].T, self.config["settings"]["smoothing"]
            v = u + p["h2"]
            units = (p["h2"] + np.sqrt(v**2 + width**2) - np.sqrt(u**2 + width**2)) / 2
            return p["A"] * z + units @ p["W1"].T + p["h1"]
        if self.config["cell"] == "plrnn":
            w = p["W"] - np.diag(np.diag(p["W"]))
            return p["A"] * z + np.maximum(z, 0) @ w.T + p["h"]
        raise SystemExit(f"a cell that this program does not know: {self.config['cell']}")

    def read_out(self, z: Array) -> Array:
        """Latent states to data units; of a delay embedding the first N coordinates are the newest ones."""
        linear = self.config["observation"]["kind"] == "linear"
        seen = z @ self.arrays["B"].T if linear else z
        return seen[..., : self.config["channels"]] * self.std + self.mean

    def infer(self, window: Array) -> Array:
        """The latent state of the last row of a window (W, N) in data units, oldest row first."""
        dim, lag = self.config["embedding"]["dim"], self.config["embedding"]["lag"]
        scaled = (window - self.mean) / self.std
        d = np.concatenate([scaled[len(scaled) - 1 - i * lag] for i in range(dim)])
        if self.config["observation"]["kind"] == "linear":
            return np.linalg.pinv(self.arrays["B"]) @ d
        return np.concatenate([d, np.zeros(len(self.config["latent_start"]) - len(d))])

    def run(self, z: Array, steps: int) -> Array:
        states = np.empty((steps, len(z)))
        with np.errstate(all="ignore"):
            for t in range(steps):
                states[t] = z = self.step(z)
        return states

    @property
    def mean(self) -> Array:
        return np.array(self.config["scaling"]["mean"])

    @property
    def std(self) -> Array:
        return np.array(self.config["scaling"]["std"])


def read_safetensors(content: bytes) -> Model:
    """Eight bytes of header length, the header as JSON, raw little-endian arrays."""
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    facts = json.loads(header.pop("__metadata__")["chaos"])
    body, arrays = content[8 + length :], {}
    for name, entry in header.items():
        first, last = entry["data_offsets"]
        flat = np.frombuffer(body[first:last], DTYPES[entry["dtype"]])
        arrays[name] = flat.reshape(entry["shape"]).astype(np.float64)
    return Model(arrays, facts)


class Service:
    def __init__(self, url: str, key: str) -> None:
        self.http = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=60)

    def get(self, path: str) -> httpx.Response:
        """Asks again while the service is away for up to 30 s."""
        deadline = time.monotonic() + 30
        while True:
            try:
                answer = self.http.get(path)
                if answer.status_code < 500 or time.monotonic() > deadline:
                    return _accepted(answer)
            except httpx.TransportError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.2)

    def upload(self, path: Path, dt: float | None) -> str:
        fields = {} if dt is None else {"dt": str(dt)}
        with path.open("rb") as file:
            answer = _accepted(self.http.post("/v1/datasets", files={"file": (path.name, file)}, data=fields))
        return str(answer.json()["id"])

    def train(self, dataset_id: str, spec: Json, seed: int) -> str:
        body = {"dataset_id": dataset_id, "spec": spec, "seed": seed}
        answer = _accepted(self.http.post("/v1/jobs", json=body))
        assert answer.status_code == 202, answer.status_code
        assert answer.headers["location"].endswith(answer.json()["id"]), answer.headers
        return str(answer.json()["id"])

    def finish(self, job_id: str, seconds: float) -> Json:
        deadline = time.monotonic() + seconds
        while True:
            job: Json = self.get(f"/v1/jobs/{job_id}?wait=20").json()
            if job["status"] in FINISHED:
                return job
            if time.monotonic() > deadline:
                raise SystemExit(f"{job_id} is still {job['status']} after {seconds:g} s")


def _accepted(answer: httpx.Response) -> httpx.Response:
    if answer.is_error:
        raise SystemExit(f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {answer.text}")
    return answer


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def check(condition: Any, what: str) -> None:
    say(("ok    " if condition else "WRONG ") + what)
    if not condition:
        raise SystemExit(1)


def download(service: Service, job: Json) -> tuple[Model, dict[str, Array]]:
    model_id = job["model_id"]
    answer = service.get(f"/v1/models/{model_id}/content")
    digest = hashlib.sha256(answer.content).hexdigest()
    check(answer.headers["etag"].strip('"') == digest, "ETag of the model is the sha256 of its bytes")
    model = read_safetensors(answer.content)
    described = service.get(f"/v1/models/{model_id}").json()
    check(model.config == described["config"], "metadata `chaos` equals `config` of GET /v1/models/{id}")
    stored = service.get(f"/v1/models/{model_id}/trajectories").json()["data"]
    check(len(stored) >= 1, "the model has a stored trajectory")
    raw = service.get(f"/v1/trajectories/{stored[0]['id']}/content")
    digest = hashlib.sha256(raw.content).hexdigest()
    check(raw.headers["etag"].strip('"') == digest, "ETag of the trajectory is the sha256 of its bytes")
    with np.load(io.BytesIO(raw.content), allow_pickle=False) as file:
        return model, {name: file[name] for name in file.files}


def check_rebuilt(model: Model, stored: dict[str, Array], seed: int) -> None:
    x, z, start = stored["x"], stored["z"], stored["latent_start"]
    unit = np.maximum(np.abs(model.std), 1e-300)
    check(np.array_equal(start, np.array(model.config["latent_start"])), "latent start is the same in both files")
    picks = np.random.default_rng(seed).choice(len(z) - 1, min(100, len(z) - 1), replace=False)
    latent = float(np.abs(model.step(z[picks]) - z[picks + 1]).max())
    seen = float((np.abs(model.read_out(model.step(z[picks])) - x[picks + 1]) / unit).max())
    check(latent <= 1e-5, f"one-step maps at {len(picks)} stored states: latent error {latent:.1e}")
    check(seen <= 1e-5, f"one-step maps in data units: error {seen:.1e} std")
    inner = max(latent, *(float(np.abs(model.step(start) - z[0]).max()), 0.0))
    check(inner <= 1e-5, "the first stored state follows the latent start")
    run = model.read_out(model.run(start, min(100, len(x))))
    error = float((np.abs(run - x[: len(run)]) / unit).max())
    check(error <= 1e-5, f"free run over the first {len(run)} steps: error {error:.1e} std")


def check_scores(job: Json) -> None:
    for name in ("d_stsp", "d_h", "prediction_error"):
        score = job["scores"][name]
        check({"value", "floor", "reason"} <= set(score), f"scores.{name} has value, floor, reason")
        check((score["value"] is None) != (score["reason"] is None), f"scores.{name}: {_short(score)}")


def _short(score: Json) -> str:
    return f"value {score['value']}, floor {score['floor']}, reason {score['reason']}"


def histogram(x: Array, low: Array, high: Array, bins: int, first: int) -> dict[tuple[int, ...], int]:
    cells = np.floor((x - low) / (high - low) * bins)
    inside = ((cells >= first) & (cells < bins)).all(axis=1)
    found, counts = np.unique(cells[inside].astype(int), axis=0, return_counts=True)
    return {tuple(cell): int(count) for cell, count in zip(found.tolist(), counts, strict=True)}


def d_stsp(true: Array, generated: Array, preset: str) -> float:
    """Kullback-Leibler divergence of histograms over every cell, 1e-5 added to each count."""
    std = true.std(axis=0, ddof=1)
    if preset == "gtf":
        bins, first, low, high = 30, 0, true.min(axis=0) - 0.1 * std, true.max(axis=0) + 0.1 * std
    else:
        bins, first, low, high = 10, 1, -2 * std, 2 * std
    generated = generated[np.isfinite(generated).all(axis=1)]
    p, q = (histogram(x, low, high, bins, first) for x in (true, generated))
    if not q:
        return float("nan")
    every = bins ** true.shape[1]
    p_total, q_total = (sum(h.values()) + 1e-5 * every for h in (p, q))
    cells = set(p) | set(q)
    shares = [((p.get(c, 0) + 1e-5) / p_total, (q.get(c, 0) + 1e-5) / q_total) for c in cells]
    shares += [(1e-5 / p_total, 1e-5 / q_total)] * (every - len(cells))
    a, b = np.array(shares).T
    return float(np.sum(a * np.log(a / b)))


def smoothed_spectrum(x: Array, sigma: float = 20.0) -> Array:
    power = np.abs(np.fft.rfft(x - x.mean())) ** 2
    reach = np.arange(-round(4 * sigma), round(4 * sigma) + 1)
    weights = np.exp(-0.5 * (reach / sigma) ** 2)
    mirrored = np.concatenate([power[: reach[-1]][::-1], power, power[-reach[-1] :][::-1]])
    smooth = np.convolve(mirrored, weights / weights.sum(), mode="valid")
    return smooth / smooth.sum()


def d_h(true: Array, generated: Array) -> float:
    """Hellinger distance of smoothed spectra (preset gtf), mean over channels."""
    rows, found = min(len(true), len(generated)), []
    for a, b in zip(true[:rows].T, generated[:rows].T, strict=True):
        p, q = smoothed_spectrum(a), smoothed_spectrum(b)
        found.append(np.sqrt(np.sum((np.sqrt(p) - np.sqrt(q)) ** 2) / 2))
    return float(np.mean(found))


def lorenz63(rho: float, rows: int, dt: float, seed: int) -> Array:
    """Runge-Kutta of order 4, ten inner steps; the first 50 time units are dropped."""

    def flow(x: float, y: float, z: float) -> tuple[float, float, float]:
        return 10.0 * (y - x), x * (rho - z) - y, x * y - 8.0 / 3.0 * z

    inner, dropped = 5, round(50 / dt)
    h = dt / inner
    x, y, z = np.array([1.0, 1.0, rho - 1]) + np.random.default_rng(seed).normal(size=3)
    found = np.empty((rows, 3))
    for step in range((rows + dropped) * inner):
        a = flow(x, y, z)
        b = flow(x + h / 2 * a[0], y + h / 2 * a[1], z + h / 2 * a[2])
        c = flow(x + h / 2 * b[0], y + h / 2 * b[1], z + h / 2 * b[2])
        d = flow(x + h * c[0], y + h * c[1], z + h * c[2])
        x += h / 6 * (a[0] + 2 * b[0] + 2 * c[0] + d[0])
        y += h / 6 * (a[1] + 2 * b[1] + 2 * c[1] + d[1])
        z += h / 6 * (a[2] + 2 * b[2] + 2 * c[2] + d[2])
        row, rest = divmod(step + 1, inner)
        if rest == 0 and row > dropped:
            found[row - dropped - 1] = x, y, z
    return found


def own_truth(how: argparse.Namespace, data: Array) -> Array:
    """An own noise-free run, shifted and scaled as the file is: its std also holds the noise."""
    clean = lorenz63(how.truth_rho, how.truth_rows, how.truth_dt, seed=1234)
    clean = (clean - clean.mean(axis=0)) / clean.std(axis=0)
    return clean / np.sqrt(1 + how.truth_noise**2) * data.std(axis=0) + data.mean(axis=0)


def judge(how: argparse.Namespace, model: Model, data: Array) -> None:
    """Scores free runs of the rebuilt model: from the stored start, and from three rows of the data."""
    truth = own_truth(how, data.astype(np.float64))
    rows = (model.config["embedding"]["dim"] - 1) * model.config["embedding"]["lag"] + 1
    starts = [np.array(model.config["latent_start"])]
    spread = [len(data) * share // 4 for share in range(3)]
    starts += [model.infer(data[at : at + rows].astype(np.float64)) for at in spread]
    found = []
    for start in starts:
        run = model.read_out(model.run(start, len(truth) + TRANSIENT))[TRANSIENT:]
        found.append((d_stsp(truth, run, how.preset), d_h(truth, run)))
        say(f"      preset {how.preset}: D_stsp {found[-1][0]:.3f}, D_H (gtf) {found[-1][1]:.3f}, {len(truth)} rows")
    check(found[0][0] <= how.max_d_stsp, f"D_stsp {found[0][0]:.3f} <= {how.max_d_stsp} from the stored start")
    check(found[0][1] <= how.max_d_h, f"D_H {found[0][1]:.3f} <= {how.max_d_h} from the stored start")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--service", type=Path, help="service.json of a running service, in place of --url and --key")
    parser.add_argument("--url")
    parser.add_argument("--key")
    parser.add_argument("--data", type=Path, required=True, help="a .npy file, (T, N)")
    parser.add_argument("--dt", type=float)
    parser.add_argument("--spec", type=json.loads, default={}, help="JSON")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=300, help="how long to wait for the job")
    parser.add_argument("--truth-rho", type=float, help="compare with an own Lorenz-63 run with this rho")
    parser.add_argument("--truth-rows", type=int, default=100_000)
    parser.add_argument("--truth-dt", type=float, default=0.01)
    parser.add_argument("--truth-noise", type=float, default=0.0, help="noise of the file, in units of its clean std")
    parser.add_argument("--preset", choices=["gtf", "chaosrnn"], default="gtf")
    parser.add_argument("--max-d-stsp", type=float, default=1.0)
    parser.add_argument("--max-d-h", type=float, default=0.15)
    return parser.parse_args()


def main() -> None:
    how = arguments()
    if how.service is not None:
        facts = json.loads(how.service.read_text())
        how.url, how.key = facts["url"], facts["api_key"]
    service = Service(how.url, how.key)
    began = time.monotonic()
    dataset_id = service.upload(how.data, how.dt)
    say(f"      {dataset_id} after {time.monotonic() - began:.2f} s")
    job_id = service.train(dataset_id, how.spec, how.seed)
    job = service.finish(job_id, how.seconds)
    say(f"      {job_id} {job['status']} {time.monotonic() - began:.1f} s after the upload began")
    check(job["status"] == "succeeded", f"the job succeeded {json.dumps(job['error']) if job['error'] else ''}")
    say(f"      kernel {job['kernel']}, device {job['device']}, attempts {job['attempt']}")
    check_scores(job)
    model, stored = download(service, job)
    say(f"      cell {model.config['cell']} {model.config['settings']}, {model.config['observation']['kind']}")
    check_rebuilt(model, stored, how.seed)
    if how.truth_rho is not None:
        judge(how, model, np.load(how.data, allow_pickle=False))


if __name__ == "__main__":
    sys.exit(main())
