"""A careful client: it tries again through every restart, and looks before it posts a second time."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

Json = dict[str, Any]
Find = Callable[[], Json | None]

FINISHED = ("succeeded", "failed", "cancelled")
PATIENCE_S = 90.0
READ_S = 45.0
PAUSE_S = 0.2
PAGE = 200


@dataclass
class Traffic:
    """What the client met on its way."""

    requests: int = 0
    broken: int = 0
    unavailable: int = 0
    found_again: int = 0
    unexpected: list[str] = field(default_factory=list)

    def describe(self) -> str:
        return (
            f"{self.requests} requests, {self.broken} broken off, {self.unavailable} answered 503, "
            f"{self.found_again} answers lost and found again, {len(self.unexpected)} unexpected answers"
        )


class CarefulClient:
    def __init__(self, urls: Sequence[str], key: str) -> None:
        headers = {"Authorization": f"Bearer {key}"}
        timeout = httpx.Timeout(READ_S, connect=5.0)
        self._ends = [httpx.Client(base_url=url, headers=headers, timeout=timeout) for url in urls]
        self._turn = 0
        self.traffic = Traffic()

    def __enter__(self) -> "CarefulClient":
        return self

    def __exit__(self, *_: object) -> None:
        for end in self._ends:
            end.close()

    def get(self, path: str, **query: Any) -> Json:
        document: Json = self.fetch(path, **query).json()
        return document

    def fetch(self, path: str, **query: Any) -> httpx.Response:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            answer = self.once("GET", path, params=query)
            if answer is not None:
                return answer
            self._rest(deadline, path)

    def post(self, path: str, find: Find, **content: Any) -> Json:
        """Where it is unknown whether a POST arrived, `find` looks for what it would have made."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            answer = self.once("POST", path, **content)
            if answer is not None:
                document: Json = answer.json()
                return document
            self._rest(deadline, path)
            if (made := find()) is not None:
                self.traffic.found_again += 1
                return made

    def once(self, method: str, path: str, **content: Any) -> httpx.Response | None:
        """One try at the next address; None where it is worth another, an error where the answer is wrong."""
        self._turn += 1
        self.traffic.requests += 1
        try:
            answer = self._ends[self._turn % len(self._ends)].request(method, path, **content)
        except httpx.ReadTimeout:
            self.traffic.unexpected.append(f"{method} {path}: no answer within {READ_S:g} s")
            return None
        except httpx.TransportError:
            self.traffic.broken += 1
            return None
        if answer.status_code == 503:
            self.traffic.unavailable += 1
            if "retry-after" not in answer.headers:
                self.traffic.unexpected.append(f"{method} {path}: 503 without Retry-After")
            return None
        if answer.status_code >= 500:
            self.traffic.unexpected.append(f"{method} {path}: {answer.status_code} {answer.text[:300]}")
            return None
        return answer.raise_for_status()

    def ask(self, path: str) -> httpx.Response:
        """A command without a body; the answer as it is."""
        return self._ends[0].post(path)

    def look(self, path: str, **form: Any) -> str:
        """Status and code of one GET, or of one POST of a form, whatever they are."""
        end = self._ends[0]
        answer = end.post(path, **form) if form else end.get(path)
        code = answer.json().get("code", "") if "json" in answer.headers.get("content-type", "") else ""
        return f"{answer.status_code} {code}".strip()

    def pages(self, path: str, **query: Any) -> Iterator[Json]:
        cursor: Json = {}
        while True:
            page = self.get(path, limit=PAGE, **query, **cursor)
            yield from page["data"]
            if not page["has_more"]:
                return
            cursor = {"cursor": page["next_cursor"]}

    def job(self, job_id: str) -> Json:
        return self.get(f"/v1/jobs/{job_id}")

    def upload(self, name: str, content: bytes, file: str = "series.npy") -> Json:
        def find() -> Json | None:
            newest = self.get("/v1/datasets", limit=20)["data"]
            return next((row for row in newest if row["name"] == name), None)

        fields = {"dt": "0.05", "name": name}
        return self.post("/v1/datasets", find, files={"file": (file, content)}, data=fields)

    def analyse(self, dataset_id: str, known: set[str]) -> Json:
        """`known` are the analyses that earlier calls made."""

        def find() -> Json | None:
            newest = self.get("/v1/analyses", dataset_id=dataset_id, limit=20)["data"]
            return next((row for row in newest if row["id"] not in known), None)

        made = self.post("/v1/analyses", find, json={"dataset_id": dataset_id, "fresh": True})
        known.add(made["id"])
        return made

    def train(self, dataset_id: str, spec: Json, *, seed: int, number: int = 0) -> Json:
        labels = {"torture": str(number)}

        def find() -> Json | None:
            newest = self.get("/v1/jobs", kind="train", limit=20)["data"]
            return next((row for row in newest if number and row["labels"] == labels), None)

        body = {"dataset_id": dataset_id, "spec": spec, "seed": seed, "labels": labels}
        return self.post("/v1/jobs", find, json=body)

    def finish(self, job_id: str, seconds: float = 120.0) -> Json:
        deadline = time.monotonic() + seconds
        while (job := self.job(job_id))["status"] not in FINISHED:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{job_id} is still {job['status']} ({job['stage']}) after {seconds:g} s")
            time.sleep(0.05)
        return job

    def _rest(self, deadline: float, path: str) -> None:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{path}: no usable answer for {PATIENCE_S:g} s")
        time.sleep(PAUSE_S)
