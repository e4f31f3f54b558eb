"""The log of a job over HTTP."""

import httpx
import pytest

from chaos_store import joblogs, jobs
from chaos_store.engine import Database
from chaos_store.joblogs import Line
from tests.api.conftest import add_dataset, add_job, take

LINES = [Line("info", "worker", "one"), Line("error", "runner", "two\nand a half"), Line("warning", "runner", "three")]


@pytest.fixture
def claim(database: Database, project_id: str) -> jobs.Claim:
    """Of a job with three lines, of which room was made for one."""
    claim = take(database, add_job(database, project_id, add_dataset(database, project_id)))
    with database.write.begin() as session:
        joblogs.add(session, claim, [Line("info", "worker", "gone")], most_lines=9, most_bytes=999)
        joblogs.add(session, claim, LINES, most_lines=3, most_bytes=999)
    return claim


@pytest.fixture
def path(claim: jobs.Claim) -> str:
    return f"/v1/jobs/{claim.job_id}/logs"


async def test_pages_go_on_after_the_last_line_seen(client: httpx.AsyncClient, path: str) -> None:
    found, after = [], "0"
    while True:
        page = (await client.get(path, params={"after": after, "limit": 1})).raise_for_status().json()
        found += page["data"]
        if not page["has_more"]:
            break
        after = page["next_cursor"]
    assert [line["message"] for line in found] == ["two\nand a half", "three"]
    assert page["cut"] == {"lines": 2, "bytes": 7}
    first = found[0]
    assert (first["level"], first["source"], first["attempt"], first["object"]) == ("error", "runner", 1, "log_line")
    assert first["created_at"].endswith("Z")
    end = (await client.get(path, params={"after": page["next_cursor"]})).json()
    assert (end["data"], end["next_cursor"], end["has_more"]) == ([], None, False)


async def test_levels_are_chosen_by_name(client: httpx.AsyncClient, path: str) -> None:
    page = (await client.get(path, params={"levels": "warning, critical"})).json()
    assert [line["level"] for line in page["data"]] == ["warning"]
    refused = await client.get(path, params={"levels": "warning,loud"})
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_request")
    assert "loud" in refused.json()["detail"] and "critical" in refused.json()["detail"]


async def test_text_is_a_page_with_a_link_to_the_next(client: httpx.AsyncClient, path: str) -> None:
    text = await client.get(path, headers={"Accept": "text/plain"}, params={"limit": 1})
    assert text.headers["content-type"].startswith("text/plain")
    head, line, rest = text.text.splitlines()
    assert head == "(2 older lines, 7 bytes, made room for these)"
    assert line.endswith("Z error    [1] runner: two") and rest == "    and a half"
    following = await client.get(text.links["next"]["url"], headers={"Accept": "text/plain"})
    assert following.text.rstrip().endswith("warning  [1] runner: three") and "next" not in following.links
    both = await client.get(path, headers={"Accept": "text/plain, application/json"})
    assert both.headers["content-type"] == "application/json"


async def test_the_job_links_to_its_log(client: httpx.AsyncClient, claim: jobs.Claim, path: str) -> None:
    assert (await client.get(f"/v1/jobs/{claim.job_id}")).json()["links"]["logs"] == path
