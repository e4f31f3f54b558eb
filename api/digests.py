"""Content-Digest (RFC 9530): what a client says of the bytes that it sends."""

import base64
import binascii
import re

from starlette.requests import Request

from .errors import InvalidDigest

MEMBER = re.compile(r"\s*([a-z*][a-z0-9_.*-]*)=:([A-Za-z0-9+/]*={0,2}):\s*")
SHA256_BYTES = 32


def announced_sha256(request: Request) -> str | None:
    """As hex digits; None where the client says nothing."""
    given = request.headers.getlist("content-digest")
    if not given:
        return None
    members = [MEMBER.fullmatch(member) for member in ",".join(given).split(",")]
    if not all(members):
        raise InvalidDigest("the header is not `Content-Digest: sha-256=:BASE64:`", expected="sha-256")
    known = {found[1]: found[2] for found in members if found}
    if "sha-256" not in known:
        names = ", ".join(sorted(known))
        raise InvalidDigest(f"{names} is not checked here; send sha-256", expected="sha-256")
    try:
        digest = base64.b64decode(known["sha-256"], validate=True)
    except binascii.Error as error:
        raise InvalidDigest(f"the sha-256 is not base64: {error}", expected="sha-256") from error
    if len(digest) != SHA256_BYTES:
        raise InvalidDigest(f"a sha-256 has {SHA256_BYTES} bytes, not {len(digest)}", expected="sha-256")
    return digest.hex()


def required_sha256(request: Request) -> str:
    given = announced_sha256(request)
    if given is None:
        raise InvalidDigest("the request has no header `Content-Digest: sha-256=:BASE64:`", expected="sha-256")
    return given
