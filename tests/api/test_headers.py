"""Nothing that a user names or uploads can run in a browser."""

import base64
import hashlib
import re

import httpx
import pytest
from fastapi import FastAPI

from api.headers import PROTECTION, policy_of
from chaos_store import artifacts, commands, trained
from chaos_store.blobs import DatabaseBlobs
from chaos_store.engine import Database
from chaos_store.settings import Settings
from tests.api.conftest import Walked, client_of
from tests.api.inhabitants import PUBLIC, ids_of

SCRIPT = "<script>alert(1)</script>"
SVG = f"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'>{SCRIPT}</svg>".encode()


@pytest.fixture
def settings(sqlite_settings: Settings) -> Settings:
    """Nothing here depends on the kind of database."""
    return sqlite_settings


async def test_every_answer_is_protected_also_the_bad_ones(client: httpx.AsyncClient, app: FastAPI) -> None:
    @app.get("/v1/broken")
    async def broken() -> None:
        raise RuntimeError("oh")

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://chaos", headers=client.headers) as calm:
        for path, status in (("/v1/jobs", 200), ("/livez", 200), ("/nothing", 404), ("/v1/broken", 500)):
            answer = await calm.get(path)
            assert answer.status_code == status
            assert {name: answer.headers[name] for name in PROTECTION} == PROTECTION, path
            assert "strict-transport-security" not in answer.headers


async def test_what_may_be_kept_and_by_whom(client: httpx.AsyncClient, walked: Walked) -> None:
    expected = {
        "/v1/jobs": "private, no-cache",
        f"/v1/models/{walked.model_id}/content": "private, max-age=31536000, immutable",
        "/v1/jobs/job_none": "no-store",
    }
    for path, cache in expected.items():
        answer = await client.get(path)
        assert answer.headers["cache-control"] == cache
    assert "Authorization" in (await client.get("/v1/jobs")).headers["vary"]
    job = {"dataset_id": walked.dataset_id}
    assert (await client.post("/v1/jobs", json=job)).headers["cache-control"] == "no-store"
    model = await client.get(f"/v1/models/{walked.model_id}/content")
    same = await client.get(model.url, headers={"If-None-Match": model.headers["etag"]})
    assert (same.status_code, same.headers["cache-control"]) == (304, model.headers["cache-control"])


async def test_strict_transport_is_asked_for_only_over_https(app: FastAPI) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://chaos") as client:
        assert (await client.get("/livez")).headers["strict-transport-security"] == "max-age=31536000"


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/docs/oauth2-redirect"])
async def test_a_page_of_documentation_may_run_its_own_scripts_and_no_others(
    client: httpx.AsyncClient, path: str
) -> None:
    page = await client.get(path)
    assert page.headers["content-type"].startswith("text/html")
    policy = dict(part.split(" ", 1) for part in page.headers["content-security-policy"].split("; "))
    assert "unsafe" not in policy["script-src"] and policy["default-src"] == "'none'"
    for attributes, script in re.findall(r"<script([^>]*)>(.*?)</script>", page.text, re.DOTALL):
        source = re.search(r'src="([^"]+)"', attributes)
        if source is None:
            digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
            assert f"'sha256-{digest}'" in policy["script-src"]
        else:
            assert source[1].startswith("/") and (await client.get(source[1])).status_code == 200
    assert re.findall(r' on\w+="', page.text) == []
    assert policy["connect-src"] == "'self'"


def test_a_page_without_a_script_of_its_own_allows_none() -> None:
    assert "script-src 'self';" in policy_of(b"<p>no script</p>")


async def test_a_planted_script_is_never_served_as_a_page(
    app: FastAPI, client: httpx.AsyncClient, walked: Walked, database: Database, project_id: str
) -> None:
    with database.write.begin() as session:
        blob = DatabaseBlobs().put(session, [SVG])
        words = {"kind": "figure", "media_type": "image/svg+xml", "blob": blob}
        planted = artifacts.create(session, project_id=project_id, job_id=walked.job_id, name=f"{SCRIPT}.svg", **words)
        trained.describe(session, project_id, walked.model_id, {"name": SCRIPT, "licence": SCRIPT})
        commands.revise(session, project_id, walked.job_id, labels={"a": SCRIPT})
    file = (f"{SCRIPT}.csv", b"x\n" + b"1\n2\n" * 40)
    named = await client.post("/v1/datasets", data={"name": SCRIPT}, files={"file": file})
    ids = ids_of(database, project_id, walked) | {"artifact_id": planted.id}
    asked = [path.format(**ids) for path, found in app.openapi()["paths"].items()
             if "get" in found and not path.startswith(PUBLIC)]  # fmt: skip
    for path in [*asked, f"{named.json()['links']['self']}/content"]:
        answer = await client.get(path)
        media_type, policy = answer.headers["content-type"], answer.headers["content-security-policy"]
        assert "html" not in media_type and answer.headers["x-content-type-options"] == "nosniff", path
        assert policy.startswith("default-src 'none'") and "script" not in policy, path
        assert "<" not in answer.headers.get("content-disposition", ""), path
        if "svg" in media_type:
            assert policy.endswith("; sandbox")


async def test_pages_of_other_origins_may_call_only_where_told(service_settings: Settings, api_key: str) -> None:
    asking = {"Origin": "https://lab.example", "Access-Control-Request-Method": "POST"}
    asking["Access-Control-Request-Headers"] = "authorization,content-type"
    async with client_of(service_settings, api_key) as client:
        assert (await client.options("/v1/jobs", headers=asking)).status_code == 405
        plain = await client.get("/v1/jobs", headers=asking)
        assert [name for name in plain.headers if name.startswith("access-control")] == []
    told = {"cors_origins": "https://lab.example, https://two.example"}
    async with client_of(service_settings.model_copy(update=told), api_key) as client:
        allowed = await client.options("/v1/jobs", headers=asking)
        assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (200, "https://lab.example")
        assert "authorization" in allowed.headers["access-control-allow-headers"]
        answer = await client.get("/v1/jobs", headers=asking)
        assert answer.headers["access-control-allow-origin"] == "https://lab.example"
        assert "ETag" in answer.headers["access-control-expose-headers"]
        assert "access-control-allow-credentials" not in answer.headers
        other = await client.get("/v1/jobs", headers=asking | {"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in other.headers
