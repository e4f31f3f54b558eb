"""The best checkpoint holds its trained model too."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

JSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    with op.batch_alter_table("checkpoint") as checkpoint:
        checkpoint.add_column(sa.Column("model_sha256", sa.String(), nullable=True))
        checkpoint.add_column(sa.Column("model", JSON, nullable=True))
        checkpoint.create_foreign_key("fk_checkpoint_model_sha256_blob", "blob", ["model_sha256"], ["sha256"])
        checkpoint.create_index("ix_checkpoint_model_sha256", ["model_sha256"])


def downgrade() -> None:
    with op.batch_alter_table("checkpoint") as checkpoint:
        checkpoint.drop_index("ix_checkpoint_model_sha256")
        checkpoint.drop_constraint("fk_checkpoint_model_sha256_blob", type_="foreignkey")
        checkpoint.drop_column("model")
        checkpoint.drop_column("model_sha256")
