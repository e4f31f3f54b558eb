"""A file in parts: each is sent until it has arrived, over as many connections as it takes."""

import base64
import hashlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx

from chaos_client.failures import ServeError

LARGE_BYTES = 32 * 1024 * 1024
"""Smaller files go in one request."""

PIECE_BYTES = 1024 * 1024
AGAIN = frozenset({502, 503, 504})
LONGEST_PAUSE_S = 5.0

Json = dict[str, Any]
Refuse = Callable[[httpx.Response], None]
Tell = Callable[[Json], None]


class PartSender:
    """`tell` hears of the upload when it is known and after each part; `retries` counts failures without progress."""

    def __init__(self, http: httpx.Client, refuse: Refuse, retries: int, tell: Tell | None = None) -> None:
        self._http = http
        self._refuse = refuse
        self._retries = retries
        self._tell = tell or (lambda _upload: None)

    def begin(self, path: Path, part_bytes: int | None, fields: Json) -> Json:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        body = {"filename": path.name, "size_bytes": path.stat().st_size, "sha256": sha256, **fields}
        if part_bytes is not None:
            body["part_bytes"] = part_bytes
        return self._ask("POST", "/v1/uploads", json=body)

    def resume(self, path: Path, upload_id: str) -> Json:
        """The upload, if the parts that have arrived are parts of this file."""
        upload = self.look(upload_id)
        if upload["size_bytes"] != path.stat().st_size:
            raise ServeError(f"{path} has {path.stat().st_size} bytes, {upload_id} expects {upload['size_bytes']}")
        for part in upload["parts"]:
            if hashlib.sha256(_part(path, upload, part["number"])).hexdigest() != part["sha256"]:
                raise ServeError(f"{path} is not the file of which {upload_id} holds part {part['number']}")
        return upload

    def send(self, path: Path, upload: Json) -> Json:
        """What is missing, then the end; the dataset, which may still be read."""
        self._tell(upload)
        pauses = self._pauses()
        while upload["missing"]:
            try:
                for number in list(upload["missing"]):
                    self._put(path, upload, number)
                    upload = self._with(upload, number)
                    self._tell(upload)
                    pauses = self._pauses()
            except (httpx.TransportError, Unavailable) as error:
                self._pause(pauses, error)
                upload = self.look(upload["id"])
        return self._ask("POST", f"/v1/uploads/{upload['id']}/complete")

    def look(self, upload_id: str) -> Json:
        return self._ask("GET", f"/v1/uploads/{upload_id}")

    def _put(self, path: Path, upload: Json, number: int) -> None:
        content = _part(path, upload, number)
        digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
        headers = {"Content-Digest": f"sha-256=:{digest}:", "Content-Type": "application/octet-stream"}
        self._checked(self._http.put(f"/v1/uploads/{upload['id']}/parts/{number}", content=content, headers=headers))

    def _ask(self, method: str, path: str, **words: Any) -> Json:
        """Safe to repeat, but that an upload may be begun twice: the first then expires."""
        pauses = self._pauses()
        while True:
            try:
                answer: Json = self._checked(self._http.request(method, path, **words)).json()
            except (httpx.TransportError, Unavailable) as error:
                self._pause(pauses, error)
            else:
                return answer

    def _checked(self, answer: httpx.Response) -> httpx.Response:
        if answer.status_code in AGAIN:
            raise Unavailable(answer)
        self._refuse(answer)
        return answer

    def _pauses(self) -> Iterator[float]:
        return iter([min(LONGEST_PAUSE_S, 0.1 * 2**attempt) for attempt in range(self._retries)])

    def _pause(self, pauses: Iterator[float], error: Exception) -> None:
        pause_s = next(pauses, None)
        if pause_s is None:
            if isinstance(error, Unavailable):
                self._refuse(error.answer)
            raise error
        time.sleep(pause_s)

    @staticmethod
    def _with(upload: Json, number: int) -> Json:
        size = min(upload["part_bytes"], upload["size_bytes"] - (number - 1) * upload["part_bytes"])
        missing = [other for other in upload["missing"] if other != number]
        return upload | {"missing": missing, "received_bytes": upload["received_bytes"] + size}


class Unavailable(Exception):
    """The service, or a proxy before it, is away for a while."""

    def __init__(self, answer: httpx.Response) -> None:
        super().__init__(f"status {answer.status_code}")
        self.answer = answer


def _part(path: Path, upload: Json, number: int) -> bytes:
    with path.open("rb") as file:
        file.seek((number - 1) * upload["part_bytes"])
        return file.read(upload["part_bytes"])
