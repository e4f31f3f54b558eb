import re
from typing import Any

import pytest
from fastapi import FastAPI

from api.routes.datasets import MEDIA_TYPES
from chaos_core.readers.formats import formats
from chaos_store.settings import Settings

METHODS = {"get", "post", "put", "patch", "delete", "head"}
OPERATIONS = {
    "analyses_create", "analyses_figure", "analyses_figure_head", "analyses_get", "analyses_list",
    "api_keys_create", "api_keys_delete", "api_keys_get", "api_keys_list", "api_keys_update", "audit_events_list",
    "artifacts_content", "artifacts_content_head", "artifacts_get", "baselines_create",
    "datasets_analysis", "datasets_content", "datasets_content_head", "datasets_create", "datasets_delete",
    "datasets_fill", "datasets_generate", "datasets_get", "datasets_list", "datasets_preview", "datasets_series",
    "datasets_stats",
    "evaluations_create", "evaluations_get", "evaluations_list",
    "jobs_archive", "jobs_archive_head",
    "jobs_artifacts", "jobs_cancel", "jobs_checkpoints", "jobs_clone", "jobs_create", "jobs_delete", "jobs_events",
    "jobs_get", "jobs_list", "jobs_logs", "jobs_metrics", "jobs_pause", "jobs_resume", "jobs_retry",
    "jobs_update", "jobs_validate",
    "limits_get", "model_types_get", "model_types_list",
    "models_card", "models_card_head", "models_content", "models_content_head", "models_delete",
    "models_diagnose", "models_figure", "models_figure_head", "models_figures", "models_forecast",
    "models_generate", "models_get", "models_lineage", "models_list", "models_trajectories", "models_update",
    "problems_get", "problems_list", "projects_create", "projects_delete", "projects_get", "projects_list",
    "projects_update", "service_live", "service_metrics", "service_ready", "systems_get", "systems_list",
    "trajectories_content", "trajectories_content_head", "trajectories_get", "trajectories_list",
    "webhook_deliveries_get", "webhook_deliveries_retry", "webhooks_create", "webhooks_delete", "webhooks_deliveries",
    "webhooks_get", "webhooks_list", "webhooks_rotate_secret", "webhooks_test", "webhooks_update",
    "usage_get", "workers_list",
    "uploads_complete", "uploads_create", "uploads_delete", "uploads_get", "uploads_list", "uploads_part",
}  # fmt: skip
PUBLIC = {
    "service_live", "service_metrics", "service_ready", "problems_get", "problems_list", "limits_get",
    "model_types_get", "model_types_list", "systems_get", "systems_list",
}  # fmt: skip


@pytest.fixture
def settings(sqlite_settings: Settings) -> Settings:
    """Nothing here depends on the kind of database."""
    return sqlite_settings


@pytest.fixture
def document(app: FastAPI) -> dict[str, Any]:
    return app.openapi()


def _operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        operation["operationId"]: operation
        for path in document["paths"].values()
        for method, operation in path.items()
        if method in METHODS
    }


def test_operation_ids_are_stable(document: dict[str, Any]) -> None:
    assert set(_operations(document)) == OPERATIONS


def test_every_operation_has_a_summary_one_tag_and_its_problems(document: dict[str, Any]) -> None:
    for name, operation in _operations(document).items():
        assert operation["summary"] and len(operation["tags"]) == 1, name
        if name not in PUBLIC:
            assert {"401", "403", "422", "429", "503"} <= set(operation["responses"]), name
        for status, response in operation["responses"].items():
            if int(status) >= 400 and name != "service_ready":
                assert list(response["content"]) == ["application/problem+json"], (name, status)


REFUSALS = {
    "jobs_cancel": ("409", "job_not_cancellable"),
    "jobs_pause": ("409", "job_not_pausable"),
    "jobs_resume": ("409", "job_not_resumable"),
    "jobs_retry": ("409", "job_not_retryable"),
    "jobs_delete": ("409", "job_not_deletable"),
    "jobs_clone": ("409", "job_not_clonable"),
    "jobs_validate": ("409", "analysis_missing"),
    "datasets_delete": ("409", "dataset_in_use"),
    "jobs_create": ("503", "queue_full"),
    "analyses_create": ("503", "queue_full"),
    "datasets_create": ("507", "storage_full"),
    "models_content": ("500", "blob_corrupt"),
    "models_generate": ("422", "data_too_large"),
    "models_forecast": ("422", "not_finite"),
    "jobs_archive": ("409", "wrong_state"),
    "webhooks_create": ("409", "too_many_webhooks"),
    "webhooks_update": ("422", "webhook_url_refused"),
    "webhooks_test": ("409", "webhook_disabled"),
    "webhook_deliveries_retry": ("409", "webhook_disabled"),
    "baselines_create": ("429", "quota_jobs"),
    "datasets_generate": ("403", "quota_bytes"),
    "api_keys_create": ("403", "key_outlives"),
    "api_keys_delete": ("409", "last_admin_key"),
    "datasets_fill": ("409", "dataset_has_content"),
    "uploads_part": ("409", "part_conflict"),
    "uploads_complete": ("409", "upload_incomplete"),
    "datasets_series": ("422", "unknown_column"),
    "evaluations_create": ("422", "inconsistent_spec"),
    "models_diagnose": ("422", "data_too_large"),
}


def test_each_refusal_is_declared_where_it_can_happen(document: dict[str, Any]) -> None:
    operations = _operations(document)
    for name, (status, code) in REFUSALS.items():
        assert f"`{code}`" in operations[name]["responses"][status]["description"], name
    for name, operation in operations.items():
        if name not in PUBLIC:
            assert "`database_unavailable`" in operation["responses"]["503"]["description"], name
            assert "`scope_missing`" in operation["responses"]["403"]["description"], name
            assert "`rate_limited`" in operation["responses"]["429"]["description"], name


def test_every_private_operation_asks_for_the_key(document: dict[str, Any]) -> None:
    for name, operation in _operations(document).items():
        assert bool(operation.get("security")) == (name not in PUBLIC), name


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    found = set(re.findall(r"#/components/schemas/([^'\"]+)", repr(document)))
    assert "Problem" in found
    assert found - set(document["components"]["schemas"]) == set()
    assert set(re.findall(r"'\$ref': '(#/(?!components/schemas/)[^']*)'", repr(document["paths"]))) == set()


def test_every_body_has_an_example(document: dict[str, Any]) -> None:
    bodies = {name: op["requestBody"]["content"] for name, op in _operations(document).items() if "requestBody" in op}
    assert set(bodies) == {
        "datasets_create", "datasets_fill", "datasets_generate", "uploads_create", "uploads_part",
        "jobs_create", "jobs_clone", "jobs_retry", "jobs_update",
        "jobs_validate", "analyses_create", "baselines_create", "models_forecast", "models_generate", "models_update",
        "webhooks_create", "webhooks_rotate_secret", "webhooks_update",
        "api_keys_create", "api_keys_update", "projects_create", "projects_update",
        "evaluations_create", "models_diagnose",
    }  # fmt: skip
    for name, content in bodies.items():
        for body in content.values():
            schema = body["schema"]
            target = document["components"]["schemas"].get(schema.get("$ref", "").rpartition("/")[2], schema)
            assert target.get("examples") or body.get("examples"), name


def test_cells_and_forcings_are_unions_told_apart_by_kind(document: dict[str, Any]) -> None:
    spec = document["components"]["schemas"]["Spec"]["properties"]
    for part, kinds in (("cell", {"plrnn", "clipped_shplrnn"}), ("forcing", {"sparse", "generalized"})):
        union = next(branch for branch in spec[part]["anyOf"] if "discriminator" in branch)
        assert union["discriminator"]["propertyName"] == "kind"
        assert kinds <= set(union["discriminator"]["mapping"])


def test_uploads_are_declared_as_a_form_with_a_file(document: dict[str, Any]) -> None:
    form = _operations(document)["datasets_create"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert set(form["properties"]) == {
        "file",
        "name",
        "dt",
        "columns",
        "time_column",
        "inputs",
        "stretch_column",
        "missing",
        "format",
        "dataset",
        "arrays",
        "delimiter",
        "decimal",
        "header",
        "split",
    }
    assert form["required"] == ["file"]


def test_downloads_go_out_with_the_media_type_of_each_format() -> None:
    assert {found.kind: found.content_types[0] for found in formats().values()} == MEDIA_TYPES
