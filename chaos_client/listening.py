"""Events of a job over one open line, taken up again where it breaks."""

import json
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import httpx

SILENCE_S = 60.0
"""The service says something every 15 seconds."""
FINISHED = 204


def follow(
    http: httpx.Client, job_id: str, after: int, tries: int, refuse: Callable[[httpx.Response], None]
) -> Iterator[dict[str, Any]]:
    """Each event once, until the job has ended; `tries` lines in a row may break without an event."""
    failures = 0
    while True:
        try:
            with _line(http, job_id, after) as answer:
                if answer.status_code == FINISHED:
                    return
                if answer.is_error and answer.status_code != 503:
                    answer.read()
                    refuse(answer)
                if answer.is_error:
                    failures += 1
                for event in parsed(answer.iter_lines()):
                    after, failures = int(event["seq"]), 0
                    yield event
        except httpx.TransportError:
            failures += 1
            if failures >= tries:
                raise
        if failures >= tries:
            raise httpx.ReadError("the service does not answer")
        time.sleep(min(5.0, 0.1 * 2**failures))


def _line(http: httpx.Client, job_id: str, after: int) -> Any:
    headers = {"Accept": "text/event-stream", "Last-Event-ID": str(after)}
    return http.stream("GET", f"/v1/jobs/{job_id}/events", headers=headers, timeout=SILENCE_S)


def parsed(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    for line in lines:
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))
