"""What receivers do, good and bad, and what the log says of it."""

import json
import logging
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from chaos_store import webhooks
from chaos_store.engine import Database
from chaos_store.settings import Settings
from tests.receivers import (
    CERTIFICATES,
    Act,
    Receiver,
    answers,
    babbles,
    drips,
    endless,
    resets,
    says_nothing,
)
from tests.worker.hooked import Hooked, until

OK = answers(204)


@pytest.fixture
def hooked(database: Database, settings: Settings, project_id: str) -> Hooked:
    return Hooked(database, settings, project_id)


def test_a_receiver_gets_a_request_that_the_library_verifies(hooked: Hooked) -> None:
    with Receiver([answers(200, b"thank\x00 you \xff")]) as receiver, hooked.sender():
        webhook = hooked.add(receiver.url)
        delivery_id = hooked.test(webhook.id)
        [request] = receiver.wait()
        row = hooked.finished(delivery_id)
    told = Verifier(webhook.secret).verify(request.body, request.headers)
    assert told == json.loads(row.payload)
    assert (told["type"], told["data"]["id"], request.path) == ("webhook.test", webhook.id, "/hook?x=1")
    headers = {name.lower(): value for name, value in request.headers.items()}
    assert (headers["webhook-id"], headers["content-type"]) == (row.event_id, "application/json")
    assert "authorization" not in headers and "accept-encoding" not in headers
    with pytest.raises(WebhookVerificationError):
        Verifier(webhook.secret).verify(request.body + b" ", request.headers)
    [attempt] = hooked.attempts(delivery_id)
    assert (row.status, attempt.status_code, attempt.reason) == ("succeeded", 200, None)
    assert attempt.answer == "thank\N{REPLACEMENT CHARACTER} you \N{REPLACEMENT CHARACTER}"
    assert attempt.duration_s is not None and attempt.duration_s > 0


def test_an_error_is_tried_again_with_the_same_id_and_body(hooked: Hooked) -> None:
    with Receiver([answers(500, b"not now"), OK]) as receiver, hooked.sender():
        webhook = hooked.add(receiver.url)
        delivery_id = hooked.test(webhook.id)
        row = hooked.finished(delivery_id)
    first, second = receiver.received
    assert first.body == second.body and first.headers["webhook-id"] == second.headers["webhook-id"]
    attempts = hooked.attempts(delivery_id)
    assert [(found.number, found.status_code, found.reason) for found in attempts] == [
        (1, 500, "status"),
        (2, 204, None),
    ]
    assert (row.status, row.reason, attempts[0].answer) == ("succeeded", None, "not now")
    assert hooked.webhook(webhook.id).failing_since is None


@pytest.mark.parametrize(
    ("status", "asked", "least_s", "most_s"),
    [
        (503, "45", 45.0, 50.0),
        (429, "Fri, 31 Dec 2100 23:59:59 GMT", 60.0, 65.0),
        (429, "9" * 500, 60.0, 65.0),
        (503, "soon", 30.0, 41.0),
        (503, "Fri, 31 Dec 99999999999 23:59:59 GMT", 30.0, 41.0),
        (503, "\xff\xb2", 30.0, 41.0),
        (503, "Thu, 01 Jan 1970 00:00:00 -0000", 30.0, 41.0),
        (500, "45", 30.0, 41.0),
    ],
)
def test_a_receiver_that_asks_for_time_gets_it_up_to_the_longest_pause(
    hooked: Hooked, status: int, asked: str, least_s: float, most_s: float
) -> None:
    act = answers(status, **{"Retry-After": asked})
    with Receiver([act]) as receiver, hooked.sender(webhook_retries_s=(30.0, 60.0)):
        delivery_id = hooked.test(hooked.add(receiver.url).id)
        until(lambda: hooked.reasons(delivery_id) == ["status"])
    due_at = hooked.delivery(delivery_id).due_at
    assert due_at is not None and least_s <= due_at - receiver.received[0].at <= most_s


@pytest.mark.parametrize(
    ("act", "status_code", "reason"),
    [
        (answers(302, Location="http://127.0.0.1:1/"), 302, "redirect"),
        (answers(404), 404, "status"),
        (resets, None, "connection_failed"),
        (babbles, None, "answer_broken"),
    ],
)
def test_a_receiver_that_fails_is_given_up_after_the_last_try(
    hooked: Hooked, act: Act, status_code: int | None, reason: str
) -> None:
    with Receiver([act]) as receiver, hooked.sender():
        delivery_id = hooked.test(hooked.add(receiver.url).id)
        row = hooked.finished(delivery_id)
    assert (row.status, row.reason, row.attempts, row.due_at) == ("failed", reason, 3, None)
    assert {(found.status_code, found.reason) for found in hooked.attempts(delivery_id)} == {(status_code, reason)}
    assert len(receiver.received) == 3
    webhook = hooked.webhook(row.webhook_id)
    assert webhook.enabled and webhook.failing_since is not None


@pytest.mark.parametrize("act", [says_nothing, drips], ids=["silent", "dripping"])
def test_an_answer_that_does_not_come_in_time_is_a_failure(hooked: Hooked, act: Act) -> None:
    with Receiver([act]) as receiver, hooked.sender(webhook_timeout_s=0.5, webhook_retries_s=()):
        delivery_id = hooked.test(hooked.add(receiver.url).id)
        row = hooked.finished(delivery_id)
    [attempt] = hooked.attempts(delivery_id)
    assert (row.status, attempt.reason, attempt.status_code) == ("failed", "timeout", None)
    assert attempt.duration_s is not None and 0.5 <= attempt.duration_s < 10


def test_of_an_endless_answer_only_the_beginning_is_read(hooked: Hooked) -> None:
    with Receiver([endless]) as receiver, hooked.sender():
        delivery_id = hooked.test(hooked.add(receiver.url).id)
        assert hooked.finished(delivery_id).status == "succeeded"
    [attempt] = hooked.attempts(delivery_id)
    assert attempt.answer is not None and len(attempt.answer) == 1024


def test_a_receiver_that_is_gone_disables_its_webhook(hooked: Hooked) -> None:
    with Receiver([answers(410)]) as receiver, hooked.sender():
        webhook = hooked.add(receiver.url)
        row = hooked.finished(hooked.test(webhook.id))
    assert (row.status, row.reason, row.attempts) == ("failed", "gone", 1)
    webhook = hooked.webhook(webhook.id)
    assert (webhook.enabled, webhook.disabled_reason) == (False, "gone") and webhook.disabled_at is not None


def test_a_receiver_that_nothing_reaches_for_long_is_disabled(hooked: Hooked) -> None:
    with Receiver([answers(503)]) as receiver, hooked.sender(webhook_give_up_s=1e-6):
        webhook = hooked.add(receiver.url)
        row = hooked.finished(hooked.test(webhook.id))
    assert (row.status, row.attempts) == ("failed", 3)
    webhook = hooked.webhook(webhook.id)
    assert (webhook.enabled, webhook.disabled_reason) == (False, "failing")


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://localhost:{port}/", "address_refused"),
        ("http://127.0.0.1:{port}/", "url_refused"),
        ("http://2130706433:{port}/", "url_refused"),
        ("http://[::ffff:127.0.0.1]:{port}/", "url_refused"),
        ("http://no-such-host.invalid/", "name_not_found"),
    ],
)
def test_what_is_not_public_is_never_reached(hooked: Hooked, url: str, reason: str) -> None:
    with Receiver([OK]) as receiver, hooked.sender(webhook_allowed_networks="", webhook_retries_s=()):
        port = receiver.url.split(":")[2].split("/")[0]
        delivery_id = hooked.test(hooked.add(url.format(port=port)).id)
        row = hooked.finished(delivery_id)
    assert (row.status, hooked.reasons(delivery_id), receiver.received) == ("failed", [reason], [])
    assert "127.0.0.1" not in (hooked.attempts(delivery_id)[0].detail or "") or reason == "url_refused"


def test_a_name_is_looked_up_and_judged_at_each_attempt(hooked: Hooked, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for the system's resolver: the name leads elsewhere from the second look on."""
    real, answers_in_turn = socket.getaddrinfo, [["127.0.0.1"], ["10.0.0.1"], ["127.0.0.1", "10.0.0.1"]]

    def resolver(host: str, *words: Any, **more: Any) -> Any:
        if host != "rebound.example":
            return real(host, *words, **more)
        return [entry for address in answers_in_turn.pop(0) for entry in real(address, *words, **more)]

    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    with Receiver([answers(500)], host="rebound.example") as receiver, hooked.sender():
        delivery_id = hooked.test(hooked.add(receiver.url).id)
        hooked.finished(delivery_id)
    assert hooked.reasons(delivery_id) == ["status", "address_refused", "address_refused"]
    assert len(receiver.received) == 1 and receiver.received[0].headers["Host"].startswith("rebound.example:")


def test_http_is_refused_where_it_is_not_allowed(hooked: Hooked) -> None:
    with Receiver([OK]) as receiver, hooked.sender(webhook_allow_http=False, webhook_retries_s=()):
        delivery_id = hooked.test(hooked.add(receiver.url).id)
        assert hooked.finished(delivery_id).reason == "url_refused"
    assert receiver.received == []


def test_proxies_of_the_environment_are_not_used(hooked: Hooked, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with Receiver([OK]) as receiver, hooked.sender():
        assert hooked.finished(hooked.test(hooked.add(receiver.url).id)).status == "succeeded"


@pytest.mark.parametrize(
    ("host", "trusted", "reasons"),
    [
        ("localhost", CERTIFICATES / "authority.pem", [None]),
        ("127.0.0.1", CERTIFICATES / "authority.pem", ["tls_failed"]),
        ("localhost", None, ["tls_failed"]),
    ],
)
def test_https_is_verified_against_the_name(
    hooked: Hooked, host: str, trusted: Path | None, reasons: list[str | None]
) -> None:
    with (
        Receiver([OK], tls=True, host=host) as receiver,
        hooked.sender(webhook_ca_file=trusted, webhook_retries_s=(), webhook_allow_http=False),
    ):
        delivery_id = hooked.test(hooked.add(receiver.url).id)
        hooked.finished(delivery_id)
    assert hooked.reasons(delivery_id) == reasons
    assert len(receiver.received) == reasons.count(None)


def test_a_connection_that_is_refused_is_said_so(hooked: Hooked) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with hooked.sender(webhook_retries_s=()):
            delivery_id = hooked.test(hooked.add(f"http://127.0.0.1:{taken.getsockname()[1]}/").id)
            hooked.finished(delivery_id)
    assert hooked.reasons(delivery_id) == ["connection_failed"]


def test_both_secrets_sign_until_the_grace_is_over(hooked: Hooked) -> None:
    with Receiver([OK]) as receiver, hooked.sender():
        old = hooked.add(receiver.url)
        for count, grace_s in ((1, 3600.0), (2, 0.0)):
            with hooked.database.write.begin() as session:
                webhooks.rotate(session, hooked.project_id, old.id, grace_s=grace_s)
            hooked.finished(hooked.test(old.id))
            receiver.wait(count)
    during, after = receiver.received
    new = hooked.webhook(old.id)
    signatures = {name.lower(): value for name, value in during.headers.items()}["webhook-signature"].split(" ")
    assert len(signatures) == 2 and all(found.startswith("v1,") for found in signatures)
    Verifier(old.secret).verify(during.body, during.headers)
    Verifier(new.secret).verify(after.body, after.headers)
    with pytest.raises(WebhookVerificationError):
        Verifier(old.secret).verify(after.body, after.headers)


def test_a_replay_sends_the_same_again_and_the_log_goes_on(hooked: Hooked) -> None:
    with Receiver([answers(500), OK, OK]) as receiver, hooked.sender(webhook_retries_s=()):
        delivery_id = hooked.test(hooked.add(receiver.url).id)
        assert hooked.finished(delivery_id).status == "failed"
        for _ in range(2):
            hooked.retry(delivery_id)
            assert hooked.finished(delivery_id).status == "succeeded"
    assert len({found.body for found in receiver.received}) == 1
    assert len({found.headers["webhook-id"] for found in receiver.received}) == 1
    assert hooked.reasons(delivery_id) == ["status", None, None]


def test_a_slow_receiver_does_not_hold_up_another(hooked: Hooked) -> None:
    with (
        Receiver([says_nothing]) as slow,
        Receiver([OK]) as prompt,
        hooked.sender(webhook_parallel=4, webhook_parallel_each=2),
    ):
        stuck = hooked.add(slow.url)
        waiting = [hooked.test(stuck.id) for _ in range(6)]
        slow.wait(2)
        served = [hooked.test(hooked.add(prompt.url).id) for _ in range(5)]
        assert [hooked.finished(found).status for found in served] == ["succeeded"] * 5
        assert len(slow.received) == 2
        assert sorted(hooked.delivery(found).status for found in waiting) == ["pending"] * 4 + ["sending"] * 2


def test_a_sender_that_stops_puts_back_what_is_under_way(hooked: Hooked) -> None:
    with Receiver([says_nothing, OK]) as receiver:
        webhook = hooked.add(receiver.url)
        with hooked.sender():
            delivery_id = hooked.test(webhook.id)
            receiver.wait()
            asked = time.monotonic()
        assert time.monotonic() - asked < 15
        row = hooked.delivery(delivery_id)
        assert (row.status, row.tries, hooked.reasons(delivery_id)) == ("pending", 0, ["sender_stopped"])
        with hooked.sender():
            assert hooked.finished(delivery_id).status == "succeeded"


def test_no_secret_and_no_url_is_in_the_log(hooked: Hooked, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), Receiver([answers(500), OK]) as receiver, hooked.sender():
        webhook = hooked.add(receiver.url + "&token=planted")
        hooked.finished(hooked.test(webhook.id))
    assert webhook.id in caplog.text
    assert webhook.secret not in caplog.text and webhook.secret[6:] not in caplog.text and "planted" not in caplog.text
    assert webhook.secret not in repr(webhook)


def test_ten_receivers_are_served_by_two_senders_once_each(hooked: Hooked) -> None:
    with Receiver([OK]) as receiver, hooked.sender() as one, hooked.sender() as two:
        made = [hooked.test(hooked.add(receiver.url).id) for _ in range(10)]
        for sender in (one, two):
            sender.poke()
        rows = [hooked.finished(found) for found in made]
    assert [(row.status, row.attempts) for row in rows] == [("succeeded", 1)] * 10
    assert len({found.headers["webhook-id"] for found in receiver.received}) == len(receiver.received) == 10


def test_an_idle_sender_stops_at_once(hooked: Hooked) -> None:
    with hooked.sender(webhook_poll_s=100.0):
        asked = time.monotonic()
    assert time.monotonic() - asked < 10
    assert not [thread for thread in threading.enumerate() if thread.name == "sender"]
