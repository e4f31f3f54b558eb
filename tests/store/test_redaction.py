"""Nothing secret is written down, whatever form it comes in."""

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from chaos_store.redaction import HIDDEN, Redactor, redact
from chaos_store.settings import Settings

KEY = "chaos_" + "aB3-_" * 8 + "xyz"
PASSWORD = 'pl@nted/"wörd'


@pytest.mark.parametrize(
    "text",
    [
        f"the key {KEY} is not known",
        f"{{'authorization': 'Bearer {KEY}'}}",
        "signed with whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "could not connect to postgresql://chaos:s3cretword@db:5432/chaos",
        "redis://:s3cretword@broker/0 does not answer",
        "(b'authorization', b'Basic czNjcmV0d29yZA==')",
        "Authorization: Bearer s3cretword.s3cretword",
        "connection to host=db user=chaos password=s3cretword failed",
    ],
)
def test_what_looks_like_a_secret_is_hidden(text: str) -> None:
    shown = redact(text)
    assert HIDDEN in shown
    for secret in (KEY, "s3cretword", "MfKQ9r8", "czNjcmV0"):
        assert secret not in shown


@pytest.mark.parametrize(
    "text",
    [
        "chaos_core.training took 3 s",
        "job_019a0c5e0f7b7d0e8a4f7a1f5b1c2d3e",
        "http://127.0.0.1:8000/v1/jobs?a=b@c",
        "basic functions of a bearer certificate",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redact(text) == text


def test_the_passwords_of_the_settings_are_hidden_in_every_form(tmp_path: Path) -> None:
    settings = Settings(
        data_dir=tmp_path,
        database_url="postgresql://chaos@db/chaos",
        database_password=PASSWORD,
        broker_url="redis://:other%2Fword@broker/0",
        metrics_token="a-token-of-metrics",
    )
    redactor = Redactor.of(settings)
    told = json.dumps([PASSWORD, "other/word", "other%2Fword", settings.database_url, "a-token-of-metrics"])
    shown = redactor.text(told)
    assert len(json.loads(shown)) == 5
    assert not any(word in shown for word in ("nted", "other", "a-token"))
    assert redactor.tree({"detail": [f"no {PASSWORD}"], "n": 1}) == {"detail": [f"no {HIDDEN}"], "n": 1}


def test_settings_that_are_refused_do_not_show_what_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAOS_PORT", "s3cretword")
    with pytest.raises(ValidationError) as refused:
        Settings()
    assert "s3cretword" not in str(refused.value)
