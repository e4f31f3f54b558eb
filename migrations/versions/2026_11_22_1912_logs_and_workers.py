"""Lines of jobs, the request that made a job, and a row for each worker."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

CUT = ("log_lines_cut", "log_bytes_cut")


def upgrade() -> None:
    with op.batch_alter_table("job") as job:
        job.add_column(sa.Column("request_id", sa.String(), nullable=True))
        for name in CUT:
            job.add_column(sa.Column(name, sa.BigInteger(), nullable=False, server_default="0"))
    with op.batch_alter_table("job") as job:
        for name in CUT:
            job.alter_column(name, server_default=None)
    op.create_table(
        "job_log",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("level", sa.String(), nullable=False),
        sa.Column("message", sa.String(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name="fk_job_log_job_id_job"),
        sa.PrimaryKeyConstraint("seq", name="pk_job_log"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_job_log_job_id_seq", "job_log", ["job_id", "seq"])
    facts = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
    op.create_table(
        "worker",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("kinds", sa.String(), nullable=False),
        sa.Column("training_slots", sa.Integer(), nullable=False),
        sa.Column("light_slots", sa.Integer(), nullable=False),
        sa.Column("machine", facts, nullable=False),
        sa.Column("versions", facts, nullable=False),
        sa.Column("started_at", sa.Double(), nullable=False),
        sa.Column("seen_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_worker"),
    )


def downgrade() -> None:
    op.drop_table("worker")
    op.drop_table("job_log")
    with op.batch_alter_table("job") as job:
        for name in ("request_id", *CUT):
            job.drop_column(name)
