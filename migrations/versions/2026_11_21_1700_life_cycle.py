"""Life cycle: checkpoints as rows, limits of a job, retention of a project, age of unfinished uploads."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

JSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
NEWEST = """
    UPDATE job SET checkpoint_sha256 = (
        SELECT sha256 FROM checkpoint WHERE checkpoint.job_id = job.id AND checkpoint."update" = job.checkpoint_update
    )
"""
UNKNOWN_STATES = """
    UPDATE job SET status = CASE status WHEN 'paused' THEN 'queued' ELSE 'running' END
     WHERE status IN ('paused', 'pausing')
"""
ROWS = """
    INSERT INTO checkpoint (id, job_id, "update", sha256, size, best, created_at)
    SELECT replace(job.id, 'job_', 'ckpt_'), job.id, job.checkpoint_update, blob.sha256, blob.size, false,
           blob.created_at
      FROM job JOIN blob ON blob.sha256 = job.checkpoint_sha256
     WHERE job.checkpoint_update IS NOT NULL
"""


def upgrade() -> None:
    op.create_table(
        "checkpoint",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("update", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("best", sa.Boolean(), nullable=False),
        sa.Column("damaged_at", sa.Double(), nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name="fk_checkpoint_job_id_job"),
        sa.ForeignKeyConstraint(["sha256"], ["blob.sha256"], name="fk_checkpoint_sha256_blob"),
        sa.PrimaryKeyConstraint("id", name="pk_checkpoint"),
        sa.UniqueConstraint("job_id", "update", name="uq_checkpoint_job_id_update"),
    )
    op.create_index("ix_checkpoint_sha256", "checkpoint", ["sha256"])
    op.execute(ROWS)
    with op.batch_alter_table("job") as job:
        job.drop_index("ix_job_checkpoint_sha256")
        job.drop_constraint("fk_job_checkpoint_sha256_blob", type_="foreignkey")
        job.drop_column("checkpoint_sha256")
        job.add_column(sa.Column("limits", JSON, nullable=False, server_default="{}"))
    with op.batch_alter_table("job") as job:
        job.alter_column("limits", server_default=None)
    op.add_column("project", sa.Column("retention_s", sa.Double(), nullable=True))
    op.add_column("blob_chunk", sa.Column("created_at", sa.Double(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("blob_chunk") as chunk:
        chunk.drop_column("created_at")
    with op.batch_alter_table("project") as project:
        project.drop_column("retention_s")
    with op.batch_alter_table("job") as job:
        job.drop_column("limits")
        job.add_column(sa.Column("checkpoint_sha256", sa.String(), nullable=True))
    op.execute(NEWEST)
    op.execute(UNKNOWN_STATES)
    with op.batch_alter_table("job") as job:
        job.create_foreign_key("fk_job_checkpoint_sha256_blob", "blob", ["checkpoint_sha256"], ["sha256"])
        job.create_index("ix_job_checkpoint_sha256", ["checkpoint_sha256"])
    op.drop_table("checkpoint")
