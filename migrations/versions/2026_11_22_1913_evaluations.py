"""Evaluations of any two trajectories; jobs that start from a trained model or a checkpoint."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

JSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    op.create_table(
        "evaluation",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("dataset_id", sa.String(), nullable=False),
        sa.Column("generated_dataset_id", sa.String(), nullable=True),
        sa.Column("trajectory_id", sa.String(), nullable=True),
        sa.Column("generated_sha256", sa.String(), nullable=False),
        sa.Column("options", JSON, nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["dataset_id"], ["dataset.id"], name="fk_evaluation_dataset_id_dataset"),
        sa.ForeignKeyConstraint(["generated_sha256"], ["blob.sha256"], name="fk_evaluation_generated_sha256_blob"),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name="fk_evaluation_job_id_job"),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name="fk_evaluation_project_id_project"),
        sa.PrimaryKeyConstraint("id", name="pk_evaluation"),
        sa.UniqueConstraint("job_id", name="uq_evaluation_job_id"),
    )
    for columns in (["dataset_id"], ["generated_dataset_id"], ["trajectory_id"], ["generated_sha256"]):
        op.create_index(f"ix_evaluation_{columns[0]}", "evaluation", columns)
    op.create_index("ix_evaluation_project_id_created_at_id", "evaluation", ["project_id", "created_at", "id"])
    with op.batch_alter_table("job") as job:
        job.add_column(sa.Column("start", JSON, nullable=True))
        job.add_column(sa.Column("start_sha256", sa.String(), nullable=True))
        job.create_foreign_key("fk_job_start_sha256_blob", "blob", ["start_sha256"], ["sha256"])
        job.create_index("ix_job_start_sha256", ["start_sha256"])


def downgrade() -> None:
    with op.batch_alter_table("job") as job:
        job.drop_index("ix_job_start_sha256")
        job.drop_constraint("fk_job_start_sha256_blob", type_="foreignkey")
        job.drop_column("start_sha256")
        job.drop_column("start")
    op.drop_table("evaluation")
