"""Secrets taken out of what is written down: logs, errors, lines of jobs."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from pydantic import SecretStr

from .settings import Settings

__all__ = ["HIDDEN", "Redactor", "redact"]

HIDDEN = "[hidden]"
SHORTEST_KNOWN = 6
SHAPES = (
    (("chaos_",), re.compile(r"chaos_[A-Za-z0-9_-]{32,}"), f"chaos_{HIDDEN}"),
    (("whsec_",), re.compile(r"whsec_[A-Za-z0-9+/=_-]{8,}"), f"whsec_{HIDDEN}"),
    (("://",), re.compile(r"(://[^\s/:@'\"\\]*:)[^\s/@'\"\\]+@"), rf"\1{HIDDEN}@"),
    (
        ("bearer", "basic"),
        re.compile(r"(\b(?:[Bb]earer|[Bb]asic|BEARER|BASIC)\s+)(?=[^\s'\"]*[A-Z0-9=])[A-Za-z0-9._~+/=-]{8,}"),
        rf"\1{HIDDEN}",
    ),
    (
        ("password", "passwd", "secret"),
        re.compile(r"(?i)(\b(?:password|passwd|secret)\b[\\'\"]*\s*[=:]\s*[\\'\"]*)[^\s'\",;&\\]+"),
        rf"\1{HIDDEN}",
    ),
)
"""Words of which one must be there, in lower case: most lines have none, and looking for them is quick."""


def redact(text: str) -> str:
    """By their looks: API keys, signing secrets, passwords in URLs, what follows Bearer, Basic or `password=`."""
    lower = text.lower()
    for words, shape, shown in SHAPES:
        if any(word in lower for word in words):
            text = shape.sub(shown, text)
    return text


class Redactor:
    """By their looks, and wherever the known ones appear; those shorter than six characters are not looked for."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = {form for secret in secrets if len(secret) >= SHORTEST_KNOWN for form in _forms(secret)}
        longest_first = sorted(known, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, longest_first))) if known else None

    @classmethod
    def of(cls, settings: Settings) -> "Redactor":
        return cls(_secrets(settings))

    def text(self, text: str) -> str:
        return redact(text if self._known is None else self._known.sub(HIDDEN, text))

    def tree(self, value: Any) -> Any:
        """All texts in dicts and lists."""
        match value:
            case str():
                return self.text(value)
            case dict():
                return {name: self.tree(inner) for name, inner in value.items()}
            case list() | tuple():
                return [self.tree(inner) for inner in value]
        return value


def _secrets(settings: Settings) -> Iterator[str]:
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr):
            yield value.get_secret_value()
        elif name.endswith("_url") and isinstance(value, str) and (password := urlsplit(value).password):
            yield password


def _forms(secret: str) -> Iterator[str]:
    """As it is, as in a URL, and as in JSON."""
    plain = unquote(secret)
    for form in (secret, plain, quote(plain, safe=""), quote(plain)):
        yield form
        yield json.dumps(form)[1:-1]
