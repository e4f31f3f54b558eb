"""Uploads in parts; datasets that wait for their bytes, and splits stored with them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

JSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    with op.batch_alter_table("dataset") as dataset:
        dataset.alter_column("content_sha256", existing_type=sa.String(), nullable=True)
        dataset.add_column(sa.Column("expected", JSON, nullable=True))
        dataset.add_column(sa.Column("split", JSON, nullable=True))
    op.create_table(
        "upload",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("filename", sa.String(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("part_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=True),
        sa.Column("options", JSON, nullable=False),
        sa.Column("split", JSON, nullable=True),
        sa.Column("content", sa.String(), nullable=False),
        sa.Column("dataset_id", sa.String(), nullable=True),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name="fk_upload_project_id_project"),
        sa.PrimaryKeyConstraint("id", name="pk_upload"),
        sa.UniqueConstraint("content", name="uq_upload_content"),
    )
    op.create_index("ix_upload_project_id_created_at_id", "upload", ["project_id", "created_at", "id"])
    op.create_index("ix_upload_expires_at", "upload", ["expires_at"])
    op.create_table(
        "upload_part",
        sa.Column("upload_id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["upload_id"], ["upload.id"], name="fk_upload_part_upload_id_upload"),
        sa.PrimaryKeyConstraint("upload_id", "number", name="pk_upload_part"),
    )


def downgrade() -> None:
    op.drop_table("upload_part")
    op.drop_table("upload")
    op.execute("DELETE FROM dataset WHERE content_sha256 IS NULL")
    with op.batch_alter_table("dataset") as dataset:
        dataset.drop_column("split")
        dataset.drop_column("expected")
        dataset.alter_column("content_sha256", existing_type=sa.String(), nullable=False)
