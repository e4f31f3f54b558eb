"""Keys have scopes and expire; projects have quotas, what they use is counted; changes and refusals are kept."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

JSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
QUOTAS = {"quota_bytes": sa.BigInteger, "quota_jobs": sa.Integer, "quota_core_hours": sa.Double}


def upgrade() -> None:
    with op.batch_alter_table("project") as project:
        for name, kind in QUOTAS.items():
            project.add_column(sa.Column(name, kind(), nullable=True))
    with op.batch_alter_table("api_key") as api_key:
        api_key.add_column(sa.Column("scopes", JSON, nullable=False, server_default='["read", "write", "admin"]'))
        for name in ("expires_at", "last_used_at"):
            api_key.add_column(sa.Column(name, sa.Double(), nullable=True))
    with op.batch_alter_table("api_key") as api_key:
        api_key.alter_column("scopes", server_default=None)
    with op.batch_alter_table("job") as job:
        for name in ("claimed_at", "ran_s"):
            job.add_column(sa.Column(name, sa.Double(), nullable=True))
    op.create_table(
        "project_use",
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("requests", sa.BigInteger(), nullable=False),
        sa.Column("core_seconds", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name="fk_project_use_project_id_project"),
        sa.PrimaryKeyConstraint("project_id", "day", name="pk_project_use"),
    )
    op.create_table(
        "audit_event",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=True),
        sa.Column("key_id", sa.String(), nullable=True),
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=True),
        sa.Column("method", sa.String(), nullable=False),
        sa.Column("route", sa.String(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("code", sa.String(), nullable=True),
        sa.Column("resource_id", sa.String(), nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_event"),
    )
    op.create_index("ix_audit_event_project_id_created_at_id", "audit_event", ["project_id", "created_at", "id"])
    op.create_index("ix_audit_event_created_at", "audit_event", ["created_at"])


def downgrade() -> None:
    op.drop_table("audit_event")
    op.drop_table("project_use")
    with op.batch_alter_table("job") as job:
        for name in ("ran_s", "claimed_at"):
            job.drop_column(name)
    with op.batch_alter_table("api_key") as api_key:
        for name in ("last_used_at", "expires_at", "scopes"):
            api_key.drop_column(name)
    with op.batch_alter_table("project") as project:
        for name in reversed(QUOTAS):
            project.drop_column(name)
