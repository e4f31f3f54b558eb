"""First tables: projects, blobs, datasets, analyses, jobs and what they leave behind."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

JSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
TABLES = (
    "blob",
    "blob_chunk",
    "lease",
    "project",
    "api_key",
    "dataset",
    "analysis",
    "job",
    "artifact",
    "job_event",
    "metric",
    "trained_model",
    "trajectory",
)


def upgrade() -> None:
    _blob()
    _blob_chunk()
    _lease()
    _project()
    _api_key()
    _dataset()
    _analysis()
    _job()
    _artifact()
    _job_event()
    _metric()
    _trained_model()
    _trajectory()


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)


def _blob() -> None:
    op.create_table(
        "blob",
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("content", sa.String(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("chunk_size", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name="pk_blob"),
        sa.UniqueConstraint("content", name="uq_blob_content"),
    )


def _blob_chunk() -> None:
    op.create_table(
        "blob_chunk",
        sa.Column("content", sa.String(), nullable=False),
        sa.Column("idx", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("content", "idx", name="pk_blob_chunk"),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE blob_chunk ALTER COLUMN data SET STORAGE EXTERNAL")


def _lease() -> None:
    op.create_table(
        "lease",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("until", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_lease"),
    )


def _project() -> None:
    op.create_table(
        "project",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_project"),
    )


def _api_key() -> None:
    op.create_table(
        "api_key",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("secret_sha256", sa.String(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("revoked_at", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name="fk_api_key_project_id_project"),
        sa.PrimaryKeyConstraint("id", name="pk_api_key"),
        sa.UniqueConstraint("secret_sha256", name="uq_api_key_secret_sha256"),
    )
    op.create_index("ix_api_key_project_id", "api_key", ["project_id"])


def _dataset() -> None:
    op.create_table(
        "dataset",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("format", sa.String(), nullable=True),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("content_sha256", sa.String(), nullable=False),
        sa.Column("series_sha256", sa.String(), nullable=True),
        sa.Column("rows", sa.BigInteger(), nullable=True),
        sa.Column("channels", sa.Integer(), nullable=True),
        sa.Column("names", JSON, nullable=True),
        sa.Column("dt", sa.Double(), nullable=True),
        sa.Column("missing_count", sa.BigInteger(), nullable=True),
        sa.Column("stretches", sa.Integer(), nullable=True),
        sa.Column("options", JSON, nullable=False),
        sa.Column("error", JSON, nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["content_sha256"], ["blob.sha256"], name="fk_dataset_content_sha256_blob"),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name="fk_dataset_project_id_project"),
        sa.ForeignKeyConstraint(["series_sha256"], ["blob.sha256"], name="fk_dataset_series_sha256_blob"),
        sa.PrimaryKeyConstraint("id", name="pk_dataset"),
    )
    op.create_index("ix_dataset_content_sha256", "dataset", ["content_sha256"])
    op.create_index("ix_dataset_project_id_created_at_id", "dataset", ["project_id", "created_at", "id"])
    op.create_index("ix_dataset_series_sha256", "dataset", ["series_sha256"])


def _analysis() -> None:
    op.create_table(
        "analysis",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("dataset_id", sa.String(), nullable=False),
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("options", JSON, nullable=False),
        sa.Column("result", JSON, nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["dataset_id"], ["dataset.id"], name="fk_analysis_dataset_id_dataset"),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name="fk_analysis_project_id_project"),
        sa.PrimaryKeyConstraint("id", name="pk_analysis"),
    )
    op.create_index("ix_analysis_dataset_id_created_at", "analysis", ["dataset_id", "created_at"])
    op.create_index("ix_analysis_job_id", "analysis", ["job_id"])
    op.create_index("ix_analysis_project_id_created_at_id", "analysis", ["project_id", "created_at", "id"])


def _job() -> None:
    op.create_table(
        "job",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("dataset_id", sa.String(), nullable=False),
        sa.Column("analysis_id", sa.String(), nullable=True),
        sa.Column("spec", JSON, nullable=False),
        sa.Column("plan", JSON, nullable=True),
        sa.Column("plan_hash", sa.String(), nullable=True),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("labels", JSON, nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("attempts_since_checkpoint", sa.Integer(), nullable=False),
        sa.Column("max_attempts", sa.Integer(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("lease_owner", sa.String(), nullable=True),
        sa.Column("lease_until", sa.Double(), nullable=True),
        sa.Column("not_before", sa.Double(), nullable=False),
        sa.Column("woken_at", sa.Double(), nullable=True),
        sa.Column("stage", sa.String(), nullable=True),
        sa.Column("progress_update", sa.BigInteger(), nullable=True),
        sa.Column("progress_total", sa.BigInteger(), nullable=True),
        sa.Column("kernel", sa.String(), nullable=True),
        sa.Column("device", sa.String(), nullable=True),
        sa.Column("checkpoint_sha256", sa.String(), nullable=True),
        sa.Column("checkpoint_update", sa.BigInteger(), nullable=True),
        sa.Column("scores", JSON, nullable=True),
        sa.Column("baselines", JSON, nullable=True),
        sa.Column("error", JSON, nullable=True),
        sa.Column("model_id", sa.String(), nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("started_at", sa.Double(), nullable=True),
        sa.Column("first_step_at", sa.Double(), nullable=True),
        sa.Column("finished_at", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["analysis_id"], ["analysis.id"], name="fk_job_analysis_id_analysis"),
        sa.ForeignKeyConstraint(["checkpoint_sha256"], ["blob.sha256"], name="fk_job_checkpoint_sha256_blob"),
        sa.ForeignKeyConstraint(["dataset_id"], ["dataset.id"], name="fk_job_dataset_id_dataset"),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name="fk_job_project_id_project"),
        sa.PrimaryKeyConstraint("id", name="pk_job"),
    )
    op.create_index("ix_job_analysis_id", "job", ["analysis_id"])
    op.create_index("ix_job_checkpoint_sha256", "job", ["checkpoint_sha256"])
    op.create_index("ix_job_dataset_id", "job", ["dataset_id"])
    op.create_index("ix_job_project_id_created_at_id", "job", ["project_id", "created_at", "id"])
    op.create_index("ix_job_status_lease_until", "job", ["status", "lease_until"])
    op.create_index("ix_job_status_not_before", "job", ["status", "not_before"])


def _artifact() -> None:
    op.create_table(
        "artifact",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("media_type", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name="fk_artifact_job_id_job"),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name="fk_artifact_project_id_project"),
        sa.ForeignKeyConstraint(["sha256"], ["blob.sha256"], name="fk_artifact_sha256_blob"),
        sa.PrimaryKeyConstraint("id", name="pk_artifact"),
        sa.UniqueConstraint("job_id", "name", name="uq_artifact_job_id_name"),
    )
    op.create_index("ix_artifact_project_id_created_at_id", "artifact", ["project_id", "created_at", "id"])
    op.create_index("ix_artifact_sha256", "artifact", ["sha256"])


def _job_event() -> None:
    op.create_table(
        "job_event",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("data", JSON, nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name="fk_job_event_job_id_job"),
        sa.PrimaryKeyConstraint("seq", name="pk_job_event"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_job_event_job_id_seq", "job_event", ["job_id", "seq"])


def _metric() -> None:
    op.create_table(
        "metric",
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("step", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("value", sa.Double(), nullable=True),
        sa.Column("wall", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name="fk_metric_job_id_job"),
        sa.PrimaryKeyConstraint("job_id", "name", "step", name="pk_metric"),
        sqlite_with_rowid=False,
    )


def _trained_model() -> None:
    op.create_table(
        "trained_model",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("dataset_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("config", JSON, nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("artifact_id", sa.String(), nullable=False),
        sa.Column("parameter_count", sa.BigInteger(), nullable=False),
        sa.Column("plan_hash", sa.String(), nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["artifact_id"], ["artifact.id"], name="fk_trained_model_artifact_id_artifact"),
        sa.ForeignKeyConstraint(["dataset_id"], ["dataset.id"], name="fk_trained_model_dataset_id_dataset"),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name="fk_trained_model_job_id_job"),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name="fk_trained_model_project_id_project"),
        sa.ForeignKeyConstraint(["sha256"], ["blob.sha256"], name="fk_trained_model_sha256_blob"),
        sa.PrimaryKeyConstraint("id", name="pk_trained_model"),
        sa.UniqueConstraint("job_id", name="uq_trained_model_job_id"),
    )
    op.create_index("ix_trained_model_dataset_id", "trained_model", ["dataset_id"])
    op.create_index("ix_trained_model_project_id_created_at_id", "trained_model", ["project_id", "created_at", "id"])
    op.create_index("ix_trained_model_sha256", "trained_model", ["sha256"])


def _trajectory() -> None:
    op.create_table(
        "trajectory",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("model_id", sa.String(), nullable=False),
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("artifact_id", sa.String(), nullable=False),
        sa.Column("steps", sa.BigInteger(), nullable=False),
        sa.Column("channels", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["artifact_id"], ["artifact.id"], name="fk_trajectory_artifact_id_artifact"),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name="fk_trajectory_job_id_job"),
        sa.ForeignKeyConstraint(["model_id"], ["trained_model.id"], name="fk_trajectory_model_id_trained_model"),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name="fk_trajectory_project_id_project"),
        sa.PrimaryKeyConstraint("id", name="pk_trajectory"),
        sa.UniqueConstraint("artifact_id", name="uq_trajectory_artifact_id"),
    )
    op.create_index("ix_trajectory_job_id", "trajectory", ["job_id"])
    op.create_index("ix_trajectory_model_id", "trajectory", ["model_id"])
    op.create_index("ix_trajectory_project_id_created_at_id", "trajectory", ["project_id", "created_at", "id"])
