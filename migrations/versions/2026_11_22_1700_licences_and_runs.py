"""A licence for trained models; trajectories of several runs, with what was asked."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

JSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    with op.batch_alter_table("trained_model") as trained_model:
        trained_model.add_column(sa.Column("licence", sa.String(), nullable=True))
    with op.batch_alter_table("trajectory") as trajectory:
        trajectory.add_column(sa.Column("runs", sa.Integer(), nullable=False, server_default="1"))
        trajectory.add_column(sa.Column("options", JSON, nullable=False, server_default="{}"))


def downgrade() -> None:
    with op.batch_alter_table("trajectory") as trajectory:
        trajectory.drop_column("options")
        trajectory.drop_column("runs")
    with op.batch_alter_table("trained_model") as trained_model:
        trained_model.drop_column("licence")
