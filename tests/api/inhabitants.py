"""One of everything that a project can have, by the names that the paths of the API give the ids."""

from chaos_store import announcements, evaluations, keys, uploads, webhooks
from chaos_store.engine import Database
from tests.api.conftest import Walked

PUBLIC = ("/v1/problems/", "/v1/systems/", "/v1/model-types/")
"""What belongs to nobody, by the begin of its path."""


def ids_of(database: Database, project_id: str, walked: Walked) -> dict[str, str]:
    names = ("dataset_id", "analysis_id", "job_id", "model_id", "trajectory_id")
    with database.write.begin() as session:
        webhook = webhooks.create(session, project_id=project_id, url="https://example.com/")
        delivery = announcements.send_test(session, project_id, webhook.id)
        upload = uploads.create(
            session, project_id=project_id, name="x", filename="x", size_bytes=1, part_bytes=1, expiry_s=3600.0
        )
        scored = evaluations.Generated(trajectory_id=walked.trajectory_id)
        common = {"project_id": project_id, "dataset_id": walked.dataset_id, "max_attempts": 1}
        evaluation, _ = evaluations.create(session, generated=scored, options={}, **common)
        key, _ = keys.issue(session, project_id, "walked")
    own = {"artifact_id": walked.figure_id, "webhook_id": webhook.id, "delivery_id": delivery.id}
    own |= {"project_id": project_id, "key_id": key.id, "upload_id": upload.id, "number": "1"}
    own |= {"evaluation_id": evaluation.id, "name": "attraktor für “x”.svg"}
    return {name: getattr(walked, name) for name in names} | own
