import base64
import hashlib

import httpx
import pytest

from tests.api.conftest import FIGURE, MODEL_BYTES, Walked

SHA = hashlib.sha256(MODEL_BYTES).hexdigest()


@pytest.fixture
def path(walked: Walked) -> str:
    return f"/v1/models/{walked.model_id}/content"


async def test_a_model_comes_whole_with_hash_and_name(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert (answer.status_code, answer.content == MODEL_BYTES) == (200, True)
    assert answer.headers["etag"] == f'"{SHA}"'
    assert answer.headers["content-length"] == str(len(MODEL_BYTES))
    assert answer.headers["repr-digest"] == f"sha-256=:{base64.b64encode(bytes.fromhex(SHA)).decode()}:"
    assert answer.headers["content-disposition"].startswith('attachment; filename="model.safetensors"')


async def test_head_tells_the_same_without_the_bytes(client: httpx.AsyncClient, path: str) -> None:
    whole, head = await client.get(path), await client.head(path)
    assert head.content == b""
    for name in ("etag", "content-length", "content-type", "accept-ranges", "content-disposition"):
        assert head.headers[name] == whole.headers[name]


@pytest.mark.parametrize("given", [f'"{SHA}"', f'"x", W/"{SHA}"', "*"])
async def test_known_bytes_are_not_sent_again(client: httpx.AsyncClient, path: str, given: str) -> None:
    answer = await client.get(path, headers={"If-None-Match": given})
    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["etag"] == f'"{SHA}"'


SIZE = len(MODEL_BYTES)


@pytest.mark.parametrize(
    ("given", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=5-", 5, SIZE),
        ("bytes=-10", SIZE - 10, SIZE),
        ("bytes=1048570-1048580", 1048570, 1048581),
        (f"bytes=10-{SIZE * 2}", 10, SIZE),
        (f"bytes=-{SIZE * 2}", 0, SIZE),
    ],
)
async def test_a_range_is_cut_exactly(client: httpx.AsyncClient, path: str, given: str, start: int, stop: int) -> None:
    answer = await client.get(path, headers={"Range": given})
    assert (answer.status_code, answer.content == MODEL_BYTES[start:stop]) == (206, True)
    assert answer.headers["content-range"] == f"bytes {start}-{stop - 1}/{SIZE}"


@pytest.mark.parametrize("given", ["bytes=5-2", "lines=1-2", "bytes=1-2,5-6", "bytes=-", "bytes=a-b"])
async def test_ranges_that_we_do_not_serve_give_the_whole(client: httpx.AsyncClient, path: str, given: str) -> None:
    answer = await client.get(path, headers={"Range": given})
    assert (answer.status_code, len(answer.content)) == (200, SIZE)


async def test_a_range_past_the_end_is_416_with_the_size(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path, headers={"Range": f"bytes={SIZE}-"})
    assert (answer.status_code, answer.json()["code"]) == (416, "range_not_satisfiable")
    assert answer.headers["content-range"] == f"bytes */{SIZE}"


async def test_a_range_of_other_bytes_than_expected_gives_the_whole(client: httpx.AsyncClient, path: str) -> None:
    same = await client.get(path, headers={"Range": "bytes=0-9", "If-Range": f'"{SHA}"'})
    other = await client.get(path, headers={"Range": "bytes=0-9", "If-Range": '"old"'})
    assert (same.status_code, other.status_code) == (206, 200)


async def test_a_figure_is_shown_in_a_sandbox_and_its_name_survives(client: httpx.AsyncClient, walked: Walked) -> None:
    answer = await client.get(f"/v1/artifacts/{walked.figure_id}/content")
    assert (answer.content, answer.headers["content-type"]) == (FIGURE, "image/svg+xml")
    assert "sandbox" in answer.headers["content-security-policy"]
    assert answer.headers["content-disposition"] == (
        "inline; filename=\"attraktor_f_r__x_.svg\"; filename*=UTF-8''attraktor%20f%C3%BCr%20%E2%80%9Cx%E2%80%9D.svg"
    )


async def test_dataset_and_trajectory_have_content_too(client: httpx.AsyncClient, walked: Walked) -> None:
    assert (await client.get(f"/v1/datasets/{walked.dataset_id}/content")).content == b"x,y\n1,2\n"
    assert (await client.get(f"/v1/trajectories/{walked.trajectory_id}/content")).content == b"npz"
