"""Looking at data."""

from collections.abc import Callable

import httpx
import numpy as np
import pytest

from chaos_core.thinning import kept_places
from chaos_core.triangles import largest_triangles
from chaos_core.typing import Floats, Ints
from tests.api.conftest import Walked
from tests.api.test_raw import ONE_DATABASE, announce
from tests.api.test_uploads import WAVES, changed, csv, npy, send

LONG = np.stack([np.sin(np.arange(5000) / 50), np.cos(np.arange(5000) / 31)], axis=1)


async def test_the_preview_shows_both_ends(client: httpx.AsyncClient) -> None:
    made = (await send(client, csv(), dt="0.3")).json()
    answer = await client.get(made["links"]["self"] + "/preview", params={"limit": 3})
    seen = answer.json()
    assert (seen["object"], seen["dataset_id"], seen["rows"]) == ("dataset_preview", made["id"], 64)
    assert (seen["names"], seen["channels"], seen["dt"], seen["last_start"]) == (["a", "b"], 2, 0.3, 61)
    np.testing.assert_allclose(seen["first"], WAVES[:3], atol=1e-8)
    np.testing.assert_allclose(seen["last"], WAVES[-3:], atol=1e-8)
    whole = (await client.get(made["links"]["self"] + "/preview", params={"limit": 50})).json()
    assert (len(whole["first"]), len(whole["last"]), whole["last_start"]) == (50, 14, 50)
    unchanged = await client.get(made["links"]["self"] + "/preview", headers={"If-None-Match": answer.headers["etag"]})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert answer.headers["etag"] == f'"{made["series_sha256"]}"'


async def test_missing_entries_are_null_everywhere(client: httpx.AsyncClient) -> None:
    made = (await send(client, changed(1, ",0.5"), missing="mask")).json()
    assert (await client.get(made["links"]["self"] + "/preview")).json()["first"][0] == [None, 0.5]
    curve = (await client.get(made["links"]["self"] + "/series")).json()["channels"][0]
    assert (curve["values"][0], curve["index"][:2]) == (None, [0, 1])
    column = (await client.get(made["links"]["self"] + "/stats")).json()["columns"][0]
    assert (column["missing"], column["count"]) == (1, 63)


async def test_stats_tell_columns_and_sampling(client: httpx.AsyncClient) -> None:
    rows = np.column_stack([WAVES, np.repeat([1.0, 2.0], 32)])
    made = (await send(client, csv(rows, "a,b,trial"), stretch_column="trial", dt="0.5")).json()
    seen = (await client.get(made["links"]["self"] + "/stats")).json()
    assert [column["name"] for column in seen["columns"]] == ["a", "b"]
    np.testing.assert_allclose(seen["columns"][0]["max"], WAVES[:, 0].max(), atol=1e-8)
    assert seen["sampling"]["stretches"] == [[0, 32], [32, 64]] and seen["sampling"]["duration"] == 31.0


@pytest.mark.parametrize(("method", "places"), [("min_max", kept_places), ("lttb", largest_triangles)])
async def test_a_series_is_thinned_for_a_plot(
    client: httpx.AsyncClient, method: str, places: Callable[[Floats, int], Ints]
) -> None:
    made = (await send(client, npy(LONG), "long.npy")).json()
    query = {"method": method, "max_points": 100, "start": 1000, "stop": 4000, "channels": "x1"}
    seen = (await client.get(made["links"]["self"] + "/series", params=query)).json()
    (curve,) = seen["channels"]
    expected = places(LONG[1000:4000, 1], 100)
    assert (curve["name"], curve["index"]) == ("x1", (expected + 1000).tolist())
    assert curve["values"] == LONG[expected + 1000, 1].tolist()
    assert (seen["start"], seen["stop"], seen["rows"], seen["breaks"]) == (1000, 4000, 5000, [])


@ONE_DATABASE
async def test_odd_questions_are_refused(client: httpx.AsyncClient, walked: Walked) -> None:
    path = f"/v1/datasets/{walked.dataset_id}/series"
    for query, code in (
        ({"channels": "z"}, "unknown_column"),
        ({"start": 200}, "invalid_request"),
        ({"start": 5, "stop": 5}, "invalid_request"),
        ({"max_points": 3}, "invalid_request"),
        ({"method": "mean"}, "invalid_request"),
        ({"chanels": "x"}, "invalid_request"),
    ):
        answer = await client.get(path, params=query)
        assert (answer.status_code, answer.json()["code"]) == (422, code), query
    empty = await announce(client)
    for view in ("preview", "stats", "series"):
        answer = await client.get(f"{empty['links']['self']}/{view}")
        assert (answer.status_code, answer.json()["code"]) == (409, "dataset_not_ready")
