"""Pictures of a model by their names."""

from urllib.parse import quote

import httpx
import pytest

from tests.api.conftest import FIGURE, Walked

NAME = "attraktor für “x”.svg"


async def test_the_pictures_of_a_model_are_listed_and_sent(client: httpx.AsyncClient, walked: Walked) -> None:
    path = f"/v1/models/{walked.model_id}"
    assert (await client.get(path)).json()["links"]["figures"] == f"{path}/figures"
    [listed] = (await client.get(f"{path}/figures")).json()["data"]
    assert (listed["name"], listed["kind"], listed["id"]) == (NAME, "figure", walked.figure_id)
    answer = await client.get(f"{path}/figures/{quote(NAME)}")
    assert (answer.status_code, answer.content) == (200, FIGURE)
    assert answer.headers["content-type"] == "image/svg+xml"
    assert answer.headers["etag"] == f'"{listed["sha256"]}"'
    assert "sandbox" in answer.headers["content-security-policy"]
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    head = await client.head(f"{path}/figures/{quote(NAME)}")
    assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", answer.headers["etag"])
    assert head.headers["content-length"] == str(len(FIGURE))
    again = await client.get(f"{path}/figures/{quote(NAME)}", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("name", ["model.safetensors", "trajectory.npz", "nothing.png", "%00.svg"])
async def test_what_is_no_picture_is_not_found(client: httpx.AsyncClient, walked: Walked, name: str) -> None:
    answer = await client.get(f"/v1/models/{walked.model_id}/figures/{name}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
