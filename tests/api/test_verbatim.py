"""What JSON says is taken as it was sent, or refused where it stands."""

import httpx
import pytest

from chaos_store.settings import Settings
from tests.api.conftest import Walked


@pytest.fixture
def settings(sqlite_settings: Settings) -> Settings:
    """Nothing here depends on the kind of database."""
    return sqlite_settings


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"seed": True}, ["body", "seed"]),
        ({"seed": "5"}, ["body", "seed"]),
        ({"priority": "1"}, ["body", "priority"]),
        ({"deadline": 0}, ["body", "deadline"]),
        ({"deadline": "1700000000"}, ["body", "deadline"]),
        ({"deadline": "2026-11-22"}, ["body", "deadline"]),
        ({"spec": {"training": {"updates": "100"}}}, ["body", "spec", "training", "updates"]),
        ({"spec": {"training": {"learning_rate": True}}}, ["body", "spec", "training", "learning_rate"]),
        (
            {"spec": {"losses": [{"kind": "flossing", "weight": "1"}]}},
            ["body", "spec", "losses", 0, "weight"],
        ),
        ({"limits": {"wall_s": "60"}}, ["body", "limits", "wall_s"]),
    ],
)
async def test_a_value_of_another_type_is_refused_where_it_stands(
    client: httpx.AsyncClient, walked: Walked, change: dict[str, object], place: list[str]
) -> None:
    answer = await client.post("/v1/jobs", json={"dataset_id": walked.dataset_id} | change)
    assert answer.status_code == 422, answer.text
    assert [entry["loc"] for entry in answer.json()["errors"]] == [place]
    assert len((await client.get("/v1/jobs")).json()["data"]) == 1


async def test_whole_numbers_and_moments_of_every_form_are_taken(client: httpx.AsyncClient, walked: Walked) -> None:
    for deadline in ("2099-01-01T00:00:00Z", "2099-01-01t00:00:00.5z", "2099-01-01T00:00:00+05:30"):
        body = {"dataset_id": walked.dataset_id, "seed": 3.0, "limits": {"wall_s": 60}, "deadline": deadline}
        answer = await client.post("/v1/jobs", json=body)
        assert answer.status_code == 202, answer.text
        assert answer.json()["seed"] == 3


@pytest.mark.parametrize("moment", ["0.5", "1700000000", "2026-11-22", "2026-11-22T14:00:00", "yesterday"])
async def test_a_filter_by_time_wants_a_moment(client: httpx.AsyncClient, moment: str) -> None:
    answer = await client.get("/v1/jobs", params={"created_after": moment})
    assert (answer.status_code, answer.json()["errors"][0]["loc"]) == (422, ["query", "created_after"])


async def test_who_has_no_key_learns_nothing_else(client: httpx.AsyncClient) -> None:
    for path in ("/v1/jobs?cursor=no", "/v1/jobs?label.%00=1", "/v1/jobs?created_after=0"):
        answer = await client.get(path, headers={"Authorization": "Bearer wrong"})
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized"), path
