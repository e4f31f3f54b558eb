"""Jobs have a priority and may have a deadline; the next one is found by an index."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("job") as job:
        job.add_column(sa.Column("priority", sa.Integer(), nullable=False, server_default="0"))
        job.add_column(sa.Column("deadline", sa.Double(), nullable=True))
    with op.batch_alter_table("job") as job:
        job.alter_column("priority", server_default=None)
        job.create_index("ix_job_status_priority_created_at", ["status", "priority", "created_at"])


def downgrade() -> None:
    with op.batch_alter_table("job") as job:
        job.drop_index("ix_job_status_priority_created_at")
        job.drop_column("deadline")
        job.drop_column("priority")
