"""Analyses know the digest of their options and the version of the analyser."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

NO_OPTIONS = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
"""sha256 of `{}`: until now there were none."""

INDEX = "ix_analysis_dataset_id_options_hash_created_at"


def upgrade() -> None:
    with op.batch_alter_table("analysis") as analysis:
        analysis.add_column(sa.Column("options_hash", sa.String(), nullable=False, server_default=NO_OPTIONS))
        analysis.add_column(sa.Column("analyser_version", sa.Integer(), nullable=False, server_default="0"))
    with op.batch_alter_table("analysis") as analysis:
        analysis.alter_column("options_hash", server_default=None)
        analysis.alter_column("analyser_version", server_default=None)
        analysis.create_index(INDEX, ["dataset_id", "options_hash", "created_at"])


def downgrade() -> None:
    with op.batch_alter_table("analysis") as analysis:
        analysis.drop_index(INDEX)
        analysis.drop_column("analyser_version")
        analysis.drop_column("options_hash")
