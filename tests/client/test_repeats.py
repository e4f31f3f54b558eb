"""The client behind a line that breaks: each of its POSTs happens once."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from chaos_client.client import Client, Problem
from chaos_core.systems import lorenz63
from chaos_store.settings import Settings
from tests.apis import api

DROPPED = ("host", "connection", "transfer-encoding", "content-length")


@dataclass
class Line:
    """Between client and service: passes each request on, and breaks before the first answers to POSTs come back."""

    upstream: str
    breaks: int
    keys: list[str | None] = field(default_factory=list)
    url: str = ""


@contextmanager
def line(upstream: str, breaks: int) -> Iterator[Line]:
    made = Line(upstream, breaks)

    class Handler(BaseHTTPRequestHandler):
        def pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name: value for name, value in self.headers.items() if name.lower() not in DROPPED}
            answer = httpx.request(self.command, made.upstream + self.path, content=body, headers=headers, timeout=60)
            if self.command == "POST":
                made.keys.append(headers.get("Idempotency-Key"))
                if made.breaks:
                    made.breaks -= 1
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
            self.send_response(answer.status_code)
            self.send_header("Content-Type", answer.headers.get("content-type", ""))
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        do_GET = do_POST = pass_on  # noqa: N815

        def log_message(self, format: str, *words: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield made
        finally:
            server.shutdown()
            thread.join()


def test_a_connection_that_breaks_after_the_commit_doubles_nothing(service_settings: Settings, api_key: str) -> None:
    content = lorenz63(300, dt=0.05, seed=1).to_npz()
    with api(service_settings) as service, line(service.url, breaks=2) as broken, Client(broken.url, api_key) as client:
        dataset = client.upload("lorenz.npz", content, name="lorenz", dataset="x")
        assert list(client.pages("/v1/datasets")) == [dataset]
        broken.breaks = 3
        job = client.train(dataset["id"], seed=5)
        assert [found["id"] for found in client.pages("/v1/jobs")] == [job["id"]]
        broken.breaks = 1
        other = client.clone(job["id"], seed=6)
        assert other["id"] != job["id"] and len(list(client.pages("/v1/jobs"))) == 2
        client.cancel(job["id"])
        broken.breaks = 1
        assert client.retry(job["id"])["status"] == "queued"
    upload, train = broken.keys[:3], broken.keys[3:7]
    assert len(set(upload)) == len(set(train)) == 1 and upload[0] != train[0]
    assert None not in broken.keys


def test_what_makes_nothing_is_repeated_without_a_key(service_settings: Settings, api_key: str) -> None:
    with (
        api(service_settings) as service,
        line(service.url, breaks=1) as broken,
        Client(broken.url, api_key) as client,
        pytest.raises(Problem, match="There is no dataset"),
    ):
        client.validate("ds_nothing")
    assert broken.keys == [None, None]
