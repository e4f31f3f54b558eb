"""One signed request to a receiver, and in one word what became of it."""

import ssl
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpcore
from standardwebhooks import Webhook as Signer

from chaos_store.addresses import Network, Place, place_of
from chaos_store.deliveries import GONE, STOPPED, Claim, Outcome
from chaos_store.errors import WebhookUrlRefused
from chaos_store.settings import Settings

from .line import AddressRefused, Interrupted, NameNotFound, Patience, PinnedBackend

__all__ = ["Rules", "attempt"]

AGENT = "chaos-service-webhooks/1"
ANSWER_BYTES = 1024
ANSWER_S = 2.0
LONGEST_DETAIL = 200
ASK_FOR_TIME = (429, 503)
MEANINGS: dict[type[Exception], str] = {
    Interrupted: STOPPED,
    WebhookUrlRefused: "url_refused",
    NameNotFound: "name_not_found",
    AddressRefused: "address_refused",
    httpcore.TimeoutException: "timeout",
    httpcore.NetworkError: "connection_failed",
    httpcore.ProtocolError: "answer_broken",
}


@dataclass(frozen=True)
class Rules:
    """What holds for every request."""

    timeout_s: float
    allow_http: bool
    allowed: Sequence[Network]
    trusted: ssl.SSLContext

    @classmethod
    def of(cls, settings: Settings) -> "Rules":
        trusted = httpcore.default_ssl_context()
        if settings.webhook_ca_file is not None:
            trusted.load_verify_locations(settings.webhook_ca_file)
        return cls(settings.webhook_timeout_s, settings.webhook_allow_http, settings.webhook_allowed_networks, trusted)


def attempt(claim: Claim, rules: Rules, interrupted: threading.Event) -> Outcome:
    """Never raises for what the receiver, the name or the network do."""
    begun = time.monotonic()
    try:
        place = place_of(claim.url, allow_http=rules.allow_http, allowed=rules.allowed)
        status, answer, wait_s = _post(place, claim, rules, Patience(rules.timeout_s, interrupted))
    except tuple(MEANINGS) as error:
        reason = next(word for kind, word in MEANINGS.items() if isinstance(error, kind))
        if isinstance(error.__cause__, ssl.SSLError):
            reason = "tls_failed"
        return Outcome(time.monotonic() - begun, reason=reason, detail=_detail(error))
    return Outcome(time.monotonic() - begun, status, _reason(status), None, answer, wait_s)


def _post(place: Place, claim: Claim, rules: Rules, patience: Patience) -> tuple[int, str, float]:
    url = httpcore.URL(scheme=place.scheme, host=place.host, port=place.port, target=place.target)
    line = httpcore.HTTPConnection(
        httpcore.Origin(url.scheme, url.host, place.port),
        ssl_context=rules.trusted,
        network_backend=PinnedBackend(patience, rules.allowed),
    )
    try:
        with line.stream("POST", url, headers=_headers(place, claim), content=claim.payload.encode()) as response:
            return response.status, _readable(_beginning(response, patience)), _wait_s(response)
    finally:
        line.close()


def _headers(place: Place, claim: Claim) -> dict[bytes | str, bytes | str]:
    moment = datetime.fromtimestamp(int(claim.sent_at), UTC)
    signatures = [Signer(secret).sign(claim.event_id, moment, claim.payload) for secret in claim.secrets]
    return {
        "Host": place.authority,
        "Content-Type": "application/json",
        "Content-Length": str(len(claim.payload.encode())),
        "User-Agent": AGENT,
        "Accept": "*/*",
        "Connection": "close",
        "webhook-id": claim.event_id,
        "webhook-timestamp": str(int(claim.sent_at)),
        "webhook-signature": " ".join(signatures),
    }


def _beginning(response: httpcore.Response, patience: Patience) -> bytes:
    """The status says all: of the answer as much is read as comes soon and is shown."""
    patience.shorten(ANSWER_S)
    found = b""
    try:
        for piece in response.iter_stream():
            found += piece
            if len(found) >= ANSWER_BYTES:
                break
    except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError, Interrupted):
        pass
    return found[:ANSWER_BYTES]


def _readable(answer: bytes) -> str:
    text = answer.decode("utf-8", "replace")
    return "".join(letter if letter.isprintable() or letter == "\n" else "\N{REPLACEMENT CHARACTER}" for letter in text)


def _wait_s(response: httpcore.Response) -> float:
    """Retry-After in seconds or as a date; 0 where it says nothing that can be understood."""
    if response.status not in ASK_FOR_TIME:
        return 0.0
    told = next((value for name, value in response.headers if name.lower() == b"retry-after"), b"").strip()
    if told.isdigit():
        return float(told)
    try:
        moment = parsedate_to_datetime(told.decode("latin-1"))
    except (ValueError, OverflowError):
        return 0.0
    return max(0.0, (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


def _reason(status: int) -> str | None:
    if 200 <= status < 300:
        return None
    if 300 <= status < 400:
        return "redirect"
    return GONE if status == 410 else "status"


def _detail(error: Exception) -> str | None:
    words = error.detail if isinstance(error, WebhookUrlRefused) else str(error)
    return _readable(words.encode(errors="replace"))[:LONGEST_DETAIL] or None
