"""Every command in every state, over HTTP, on both databases."""

from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from chaos_core.errors import Diverged
from chaos_store import checkpoints, commands, jobs
from chaos_store.blobs import DatabaseBlobs
from chaos_store.broker import TRAIN_QUEUE
from chaos_store.engine import Database
from chaos_store.states import Kind, State
from tests.api.conftest import MODEL_BYTES, Walked, add_dataset, add_job, take, walk
from tests.servers import ValkeyServer

ANSWERS: dict[str, tuple[str, dict[State, State]]] = {
    "cancel": (
        "job_not_cancellable",
        {
            State.queued: State.cancelled,
            State.running: State.cancelling,
            State.pausing: State.cancelling,
            State.paused: State.cancelled,
            State.cancelling: State.cancelling,
        },
    ),
    "pause": (
        "job_not_pausable",
        {
            State.queued: State.paused,
            State.running: State.pausing,
            State.pausing: State.pausing,
            State.paused: State.paused,
        },
    ),
    "resume": (
        "job_not_resumable",
        {State.paused: State.queued, State.queued: State.queued, State.running: State.running},
    ),
    "retry": ("job_not_retryable", {State.failed: State.queued, State.cancelled: State.queued}),
}


@pytest.fixture
def dataset_id(database: Database, project_id: str) -> str:
    return add_dataset(database, project_id)


def job_in(database: Database, project_id: str, dataset_id: str, state: State, kind: Kind = Kind.train) -> str:
    """A job that came into the state the way jobs do."""
    job_id = add_job(database, project_id, dataset_id, kind)
    early = {State.paused: commands.request_pause, State.cancelled: commands.request_cancel}
    asked = {State.pausing: commands.request_pause, State.cancelling: commands.request_cancel}
    if state in early:
        with database.write.begin() as session:
            early[state](session, project_id, job_id)
    elif state is not State.queued:
        claim = take(database, job_id)
        with database.write.begin() as session:
            if state in asked:
                asked[state](session, project_id, job_id)
            elif state is State.succeeded:
                jobs.succeed(session, claim)
            elif state is State.failed:
                jobs.fail(session, claim, Diverged("the loss is nan", update=5).problem())
    return job_id


@pytest.mark.parametrize("command", ANSWERS)
async def test_a_command_moves_the_job_or_is_refused_with_its_own_code(
    client: httpx.AsyncClient, database: Database, project_id: str, dataset_id: str, command: str
) -> None:
    code, moves = ANSWERS[command]
    for state in State:
        job_id = job_in(database, project_id, dataset_id, state)
        path = f"/v1/jobs/{job_id}"
        before = (await client.get(path)).json()
        assert before["status"] == state
        answer = await client.post(f"{path}/{command}")
        after = (await client.get(path)).json()
        if state in moves:
            assert (answer.status_code, answer.json()) == (200, after), (state, answer.text)
            assert after["status"] == moves[state], state
        else:
            assert (answer.status_code, answer.json()["code"]) == (409, code), (state, answer.text)
            assert (answer.json()["current_status"], after) == (state, before)
            assert answer.json()["remedy"] and state in answer.json()["detail"].replace(" ", "")


async def test_only_finished_jobs_are_deleted_and_then_nothing_of_them_is_left(
    client: httpx.AsyncClient, database: Database, project_id: str, dataset_id: str
) -> None:
    for state in State:
        path = f"/v1/jobs/{job_in(database, project_id, dataset_id, state)}"
        answer = await client.delete(path)
        if state in {State.succeeded, State.failed, State.cancelled}:
            assert (answer.status_code, answer.content) == (204, b""), (state, answer.text)
            for below in ("", "/events", "/metrics", "/artifacts", "/checkpoints"):
                gone = await client.get(path + below)
                assert (gone.status_code, gone.json()["code"]) == (404, "not_found")
            assert (await client.delete(path)).status_code == 404
        else:
            assert (answer.status_code, answer.json()["code"]) == (409, "job_not_deletable"), state
            assert (await client.get(path)).json()["status"] == state


async def test_a_deleted_job_takes_what_it_made_along(client: httpx.AsyncClient, walked: Walked) -> None:
    user = {"dataset_id": walked.dataset_id, "analysis_id": walked.analysis_id}
    other = (await client.post("/v1/jobs", json=user)).json()
    assert (await client.delete(f"/v1/jobs/{walked.job_id}")).status_code == 204
    for path in (
        f"/v1/models/{walked.model_id}", f"/v1/trajectories/{walked.trajectory_id}",
        f"/v1/artifacts/{walked.figure_id}", f"/v1/analyses/{walked.analysis_id}",
    ):  # fmt: skip
        assert (await client.get(path)).status_code == 404, path
    assert (await client.get(f"/v1/datasets/{walked.dataset_id}")).status_code == 200
    assert (await client.get(f"/v1/jobs/{other['id']}")).json()["analysis_id"] is None


async def test_a_deleted_model_goes_with_its_runs_and_its_job_stays(client: httpx.AsyncClient, walked: Walked) -> None:
    assert (await client.delete(f"/v1/models/{walked.model_id}")).status_code == 204
    for path in (f"/v1/models/{walked.model_id}", f"/v1/trajectories/{walked.trajectory_id}"):
        assert (await client.get(path)).status_code == 404
    job = (await client.get(f"/v1/jobs/{walked.job_id}")).json()
    assert (job["status"], job["model_id"], job["trajectory_id"]) == ("succeeded", None, None)
    assert (job["links"]["model"], job["links"]["trajectory"]) == (None, None)
    assert (await client.delete(f"/v1/models/{walked.model_id}")).status_code == 404


async def test_a_dataset_with_jobs_is_deleted_only_if_asked_and_when_all_are_finished(
    client: httpx.AsyncClient, database: Database, project_id: str, walked: Walked
) -> None:
    path = f"/v1/datasets/{walked.dataset_id}"
    refused = await client.delete(path)
    assert (refused.status_code, refused.json()["code"]) == (409, "dataset_in_use")
    assert (refused.json()["jobs"], refused.json()["unfinished"]) == (1, 0)
    waiting = add_job(database, project_id, walked.dataset_id)
    refused = await client.delete(path, params={"cascade": True})
    assert (refused.status_code, refused.json()["code"], refused.json()["unfinished"]) == (409, "dataset_in_use", 1)
    await client.post(f"/v1/jobs/{waiting}/cancel")
    assert (await client.delete(path, params={"cascade": True})).status_code == 204
    for noun in ("datasets", "jobs", "models", "trajectories", "analyses"):
        assert (await client.get(f"/v1/{noun}")).json()["data"] == []
    assert (await client.get(path)).status_code == 404


async def test_a_dataset_without_jobs_is_deleted_at_once(client: httpx.AsyncClient, dataset_id: str) -> None:
    misspelt = await client.delete(f"/v1/datasets/{dataset_id}", params={"cascde": True})
    assert (misspelt.status_code, misspelt.json()["code"]) == (422, "invalid_request")
    assert (await client.delete(f"/v1/datasets/{dataset_id}")).status_code == 204
    gone = await client.post("/v1/jobs", json={"dataset_id": dataset_id})
    assert (gone.status_code, gone.json()["code"]) == (404, "not_found")


def failed_with_checkpoints(database: Database, project_id: str, dataset_id: str) -> str:
    claim = take(database, add_job(database, project_id, dataset_id))
    with database.write.begin() as session:
        for update in (10, 20, 30):
            blob = DatabaseBlobs().put(session, [bytes([update]) * 100])
            checkpoints.save(session, claim, blob, update, best=update == 10, keep=2)
        jobs.add_metrics(session, claim, [("loss", 30, 0.5, 1.7e9)])
        checkpoints.mark_damaged(session, claim, 30, {"code": "blob_corrupt"})
        jobs.fail(session, claim, Diverged("the loss is nan", update=35).problem())
    return claim.job_id


async def test_checkpoints_are_listed_newest_first_with_best_and_damaged(
    client: httpx.AsyncClient, database: Database, project_id: str, dataset_id: str
) -> None:
    job_id = failed_with_checkpoints(database, project_id, dataset_id)
    found = (await client.get(f"/v1/jobs/{job_id}/checkpoints")).json()
    assert [(row["update"], row["best"], row["damaged"]) for row in found["data"]] == [
        (30, False, True), (20, False, False), (10, True, False),
    ]  # fmt: skip
    assert all(row["size_bytes"] == 100 and len(row["sha256"]) == 64 for row in found["data"])
    assert (found["object"], found["has_more"]) == ("list", False)


@pytest.mark.parametrize(
    ("content", "kept"), [({}, True), ({"json": {}}, True), ({"json": {"from": "checkpoint"}}, True),
                          ({"json": {"from": "start"}}, False)],
)  # fmt: skip
async def test_a_retry_goes_on_from_the_checkpoint_unless_from_the_start(
    client: httpx.AsyncClient, database: Database, project_id: str, dataset_id: str, content: dict[str, Any], kept: bool
) -> None:
    path = f"/v1/jobs/{failed_with_checkpoints(database, project_id, dataset_id)}"
    job = (await client.post(f"{path}/retry", **content)).json()
    assert (job["status"], job["error"], job["finished_at"]) == ("queued", None, None)
    assert (job["checkpoint_update"] is not None) == kept
    assert bool((await client.get(f"{path}/checkpoints")).json()["data"]) == kept
    assert bool((await client.get(f"{path}/metrics")).json()["metrics"]) == kept


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        ({"json": {"from": "middle"}}, 422, "invalid_request"),
        ({"json": {"form": "start"}}, 422, "invalid_request"),
        ({"json": {"origin": "start"}}, 422, "invalid_request"),
        ({"json": ["start"]}, 422, "invalid_request"),
        ({"content": b"{", "headers": {"Content-Type": "application/json"}}, 400, "invalid_json"),
        ({"content": b"from=start", "headers": {"Content-Type": "text/plain"}}, 415, "unsupported_media_type"),
    ],
)
async def test_a_retry_with_a_bad_body_changes_nothing(
    client: httpx.AsyncClient,
    database: Database,
    project_id: str,
    dataset_id: str,
    content: dict[str, Any],
    status: int,
    code: str,
) -> None:
    path = f"/v1/jobs/{job_in(database, project_id, dataset_id, State.failed)}"
    answer = await client.post(f"{path}/retry", **content)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert (await client.get(path)).json()["status"] == "failed"


@pytest.mark.parametrize(("state", "command"), [(State.paused, "resume"), (State.failed, "retry")])
async def test_a_job_that_waits_again_is_announced(
    client: httpx.AsyncClient,
    database: Database,
    project_id: str,
    dataset_id: str,
    valkey_server: ValkeyServer,
    state: State,
    command: str,
) -> None:
    job_id = job_in(database, project_id, dataset_id, state)
    await client.post(f"/v1/jobs/{job_id}/{command}")
    with valkey_server.client() as broker:
        waiting = broker.lrange(f"chaos:{TRAIN_QUEUE}", 0, -1)
    assert len(waiting) == 1 and job_id.encode() in waiting[0]


async def test_events_name_each_command(
    client: httpx.AsyncClient, database: Database, project_id: str, dataset_id: str
) -> None:
    path = f"/v1/jobs/{add_job(database, project_id, dataset_id)}"
    for command in ("pause", "pause", "resume", "cancel", "retry"):
        assert (await client.post(f"{path}/{command}")).status_code == 200
    events = (await client.get(f"{path}/events")).json()["data"]
    assert [(row["data"]["event"], row["data"]["status"]) for row in events] == [
        ("create", "queued"), ("pause", "paused"), ("resume", "queued"), ("cancel", "cancelled"), ("retry", "queued"),
    ]  # fmt: skip


async def test_the_same_life_holds_for_analyses(
    client: httpx.AsyncClient, dataset_id: str, database: Database, project_id: str
) -> None:
    made = (await client.post("/v1/analyses", json={"dataset_id": dataset_id})).json()
    job = f"/v1/jobs/{made['job_id']}"
    for command, status in (("pause", "paused"), ("resume", "queued"), ("cancel", "cancelled"), ("retry", "queued")):
        assert (await client.post(f"{job}/{command}")).json()["status"] == status
        assert (await client.get(made["links"]["self"])).json()["status"] == status
    await client.post(f"{job}/cancel")
    assert (await client.delete(job)).status_code == 204
    assert (await client.get(made["links"]["self"])).status_code == 404


async def test_a_stranger_can_neither_command_nor_delete(
    stranger: httpx.AsyncClient, client: httpx.AsyncClient, walked: Walked
) -> None:
    for command in ANSWERS:
        assert (await stranger.post(f"/v1/jobs/{walked.job_id}/{command}")).status_code == 404
    for path in (
        f"/v1/jobs/{walked.job_id}", f"/v1/models/{walked.model_id}", f"/v1/datasets/{walked.dataset_id}?cascade=true"
    ):  # fmt: skip
        assert (await stranger.delete(path)).status_code == 404
    content = await client.get(f"/v1/models/{walked.model_id}/content")
    assert (content.status_code, content.content) == (200, MODEL_BYTES)


async def test_deleting_one_of_two_twins_leaves_the_bytes_of_the_other(
    app: FastAPI, client: httpx.AsyncClient, database: Database, project_id: str, walked: Walked
) -> None:
    twin = walk(database, project_id)
    await client.delete(f"/v1/jobs/{walked.job_id}")
    content = await client.get(f"/v1/models/{twin.model_id}/content")
    assert (content.status_code, content.content) == (200, MODEL_BYTES)
