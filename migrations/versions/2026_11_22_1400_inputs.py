"""Datasets know the names of their external inputs."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

JSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    with op.batch_alter_table("dataset") as dataset:
        dataset.add_column(sa.Column("input_names", JSON, nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("dataset") as dataset:
        dataset.drop_column("input_names")
