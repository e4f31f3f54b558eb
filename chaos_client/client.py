"""The service over HTTP: upload, train, wait, download."""

import json
import os
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from chaos_client.failures import ServeError
from chaos_client.listening import follow
from chaos_client.parts import LARGE_BYTES, PartSender

FINAL = frozenset({"succeeded", "failed", "cancelled"})
LONG_POLL_S = 20.0
RETRIES = 8

Json = dict[str, Any]


class Problem(Exception):
    """The service refused: `problem` is its RFC 9457 document, `code` its stable name."""

    def __init__(self, status: int, problem: Json) -> None:
        super().__init__(
            f"{problem.get('title', 'error')}: {problem.get('detail', '')} {problem.get('remedy', '')}".strip()
        )
        self.status = status
        self.problem = problem
        self.code = str(problem.get("code", "unknown"))


def _refuse(answer: httpx.Response) -> None:
    if not answer.is_error:
        return
    try:
        problem = answer.json()
    except ValueError:
        problem = {"title": answer.reason_phrase, "detail": answer.text[:300]}
    raise Problem(answer.status_code, problem)


def _asks_to_come_again(answer: httpx.Response) -> bool:
    """409 with a time: the first sending of the same request is still being worked on."""
    return answer.status_code == 503 or (answer.status_code == 409 and "retry-after" in answer.headers)


def _side(given: Json | str) -> Json:
    if not isinstance(given, str):
        return given
    return {"trajectory_id" if given.startswith("trj_") else "dataset_id": given}


class Client:
    def __init__(self, url: str, api_key: str, *, timeout_s: float = 60.0) -> None:
        headers = {"Authorization": f"Bearer {api_key}"}
        self._http = httpx.Client(base_url=url, headers=headers, timeout=timeout_s)

    @classmethod
    def local(cls, data_dir: Path | None = None) -> Self:
        """The embedded service whose `service.json` lies in `data_dir` (or $CHAOS_DATA_DIR, or ./data)."""
        folder = data_dir or Path(os.environ.get("CHAOS_DATA_DIR", "data"))
        try:
            record = json.loads((folder / "service.json").read_text())
        except FileNotFoundError as error:
            raise ServeError(
                f"no service runs on the folder {folder}; start one with: chaos serve --data-dir {folder}"
            ) from error
        return cls(record["url"], record["api_key"])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def upload(self, filename: str, content: bytes, **fields: str) -> Json:
        """Sends a file as a dataset and waits until it is ready."""
        answer = self._send("POST", "/v1/datasets", files={"file": (filename, content)}, data=fields)
        return self._read(answer.json())

    def upload_file(
        self,
        path: str | Path,
        *,
        upload_id: str | None = None,
        part_bytes: int | None = None,
        on_progress: Callable[[Json], None] | None = None,
        **fields: str,
    ) -> Json:
        """Sends a file as a dataset and waits until it is ready; a large one, or one with `part_bytes`, in parts.

        Where the connection breaks only the part under way is sent again. `on_progress` hears of the upload: with its
        `id` as `upload_id` another process goes on with the same file.
        """
        file = Path(path)
        if upload_id is None and part_bytes is None and file.stat().st_size < LARGE_BYTES:
            return self.upload(file.name, file.read_bytes(), **fields)
        sender = PartSender(self._http, _refuse, RETRIES, on_progress)
        upload = sender.resume(file, upload_id) if upload_id else sender.begin(file, part_bytes, fields)
        return self._read(sender.send(file, upload))

    def announce(self, **fields: Any) -> Json:
        """A dataset that waits for its bytes; `fields`: the options of an upload, size_bytes, sha256."""
        return self._post("/v1/datasets", fields)

    def fill(self, dataset_id: str, path: str | Path) -> Json:
        """Sends the bytes of a dataset that waits for them, as one stream, and waits until it is ready."""
        with Path(path).open("rb") as content:
            headers = {"Content-Type": "application/octet-stream"}
            answer = self._send("PUT", f"/v1/datasets/{dataset_id}/content", content=content, headers=headers)
        return self._read(answer.json())

    def _read(self, dataset: Json) -> Json:
        pause_s = 0.05
        while dataset["status"] == "processing":
            time.sleep(pause_s)
            pause_s = min(0.5, 1.5 * pause_s)
            dataset = self.get(f"/v1/datasets/{dataset['id']}")
        if dataset["status"] == "failed":
            raise Problem(422, dataset["error"])
        return dataset

    def analyse(self, dataset_id: str, options: Json | None = None, *, fresh: bool = False) -> Json:
        """What is known of the series; made anew where the same was not asked before, or with `fresh`."""
        body = {"dataset_id": dataset_id, "options": options or {}, "fresh": fresh}
        analysis: Json = self._send("POST", "/v1/analyses", json=body).json()
        return self._wait(f"/v1/analyses/{analysis['id']}", None)

    def train(self, dataset_id: str, spec: Json | None = None, *, seed: int = 0, **extra: Any) -> Json:
        """`extra`: labels, limits, priority, deadline, analysis_id, start_from={"model_id": ...}."""
        body = {"dataset_id": dataset_id, "spec": spec or {}, "seed": seed, **extra}
        return self._post("/v1/jobs", body)

    def evaluate(self, true: Json | str, generated: Json | str, **options: Any) -> Json:
        """Scores one trajectory against another and waits; an id stands for the whole of that dataset or trajectory.

        `options`: preset, metrics, generated_as, prediction_steps, embedding, noise, discard_share, ...
        """
        body = {"true": _side(true), "generated": _side(generated), **options}
        return self._wait(f"/v1/evaluations/{self._post('/v1/evaluations', body)['id']}", None)

    def diagnose(self, model_id: str, **options: int) -> Json:
        """Exponents, dimension, gradient growth and fixed points; `options`: steps, runs, growth_steps."""
        return self._post(f"/v1/models/{model_id}/diagnostics", options)

    def validate(self, dataset_id: str, spec: Json | None = None, **extra: Any) -> Json:
        """What the job would be and take; nothing is queued. The series must have been analysed."""
        return self._ask("/v1/jobs:validate", {"dataset_id": dataset_id, "spec": spec or {}, **extra})

    def clone(self, job_id: str, **changes: Any) -> Json:
        """A job like this one; `spec` is a merge patch, and seed, labels, limits, priority, deadline may differ."""
        return self._post(f"/v1/jobs/{job_id}/clone", changes)

    def update(self, job_id: str, **changes: Any) -> Json:
        """Changes `labels` (None takes one away), `priority` or `deadline`."""
        job: Json = self._send("PATCH", f"/v1/jobs/{job_id}", json=changes).json()
        return job

    def events(self, job_id: str, after: int = 0) -> Iterator[Json]:
        """What happens, as it happens, until the job ends; goes on by itself where the line breaks."""
        return follow(self._http, job_id, after, RETRIES, _refuse)

    def cancel(self, job_id: str) -> Json:
        return self._command(job_id, "cancel")

    def pause(self, job_id: str) -> Json:
        return self._command(job_id, "pause")

    def resume(self, job_id: str) -> Json:
        return self._command(job_id, "resume")

    def retry(self, job_id: str, *, fresh: bool = False) -> Json:
        """Runs a failed or cancelled job again: from its newest checkpoint, or from the start."""
        return self._command(job_id, "retry", {"from": "start" if fresh else "checkpoint"})

    def generate(self, model_id: str, steps: int, **words: Any) -> Json:
        """Lets a model run by itself; `words`: starts, members, spread, seed, inputs. Download the link `content`."""
        return self._post(f"/v1/models/{model_id}/trajectories", {"steps": steps, **words})

    def forecast(self, model_id: str, context: list[list[float]], horizon: int, **words: Any) -> Json:
        """What comes after the last rows, oldest first; `words`: inputs, time."""
        return self._ask(f"/v1/models/{model_id}/forecast", {"context": context, "horizon": horizon, **words})

    def describe(self, model_id: str, **words: str | None) -> Json:
        """Gives a model another `name` or a `licence`."""
        model: Json = self._send("PATCH", f"/v1/models/{model_id}", json=words).json()
        return model

    def delete(self, path: str, **query: Any) -> None:
        """E.g. `/v1/jobs/{id}`, `/v1/models/{id}`, or `/v1/datasets/{id}` with cascade=True."""
        self._send("DELETE", path, params=query)

    def wait(self, job_id: str, on_change: Callable[[Json], None] | None = None) -> Json:
        """Polls until the job is succeeded, failed or cancelled."""
        return self._wait(f"/v1/jobs/{job_id}", on_change)

    def get(self, path: str, **query: Any) -> Json:
        document: Json = self._send("GET", path, params=query).json()
        return document

    def pages(self, path: str, **query: Any) -> Iterator[Json]:
        cursor: str | None = None
        while True:
            page = self.get(path, **query, **({"cursor": cursor} if cursor else {}))
            yield from page["data"]
            cursor = page.get("next_cursor")
            if not cursor:
                return

    def download(self, path: str, **query: Any) -> bytes:
        """E.g. `/v1/models/{id}/content` with format="onnx", or `/v1/jobs/{id}/archive.zip`."""
        return self._send("GET", path, params=query or None).content

    def _command(self, job_id: str, name: str, body: Json | None = None) -> Json:
        job: Json = self._send("POST", f"/v1/jobs/{job_id}/{name}", **({"json": body} if body else {})).json()
        return job

    def _ask(self, path: str, body: Json) -> Json:
        """A POST that makes nothing: it may be repeated without a key."""
        document: Json = self._send("POST", path, json=body, headers={}).json()
        return document

    def _post(self, path: str, body: Json) -> Json:
        document: Json = self._send("POST", path, json=body).json()
        return document

    def _wait(self, path: str, on_change: Callable[[Json], None] | None) -> Json:
        wait_s = 1.0 if on_change else LONG_POLL_S
        while True:
            document = self.get(path, wait=wait_s)
            if on_change:
                on_change(document)
            if document["status"] in FINAL:
                return document

    def _send(self, method: str, path: str, **content: Any) -> httpx.Response:
        """Repeats what may be repeated: a GET, and a POST under the key that it was first sent with."""
        if method == "POST":
            content.setdefault("headers", {"Idempotency-Key": str(uuid.uuid4())})
        repeatable = method in ("GET", "POST")
        answer = self._retrying(method, path, content) if repeatable else self._http.request(method, path, **content)
        _refuse(answer)
        return answer

    def _retrying(self, method: str, path: str, content: Json) -> httpx.Response:
        for attempt in range(RETRIES):
            last = attempt == RETRIES - 1
            try:
                answer = self._http.request(method, path, **content)
            except httpx.TransportError:
                if last:
                    raise
            else:
                if last or not _asks_to_come_again(answer):
                    return answer
            time.sleep(min(5.0, 0.1 * 2**attempt))
        raise AssertionError("unreachable")
