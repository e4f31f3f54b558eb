"""How far a trained model has come in the hands of those who use it."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("trained_model") as trained_model:
        trained_model.add_column(sa.Column("stage", sa.String(), nullable=False, server_default="none"))


def downgrade() -> None:
    with op.batch_alter_table("trained_model") as trained_model:
        trained_model.drop_column("stage")
