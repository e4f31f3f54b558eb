"""Alembic's entry: the connection comes from chaos_store.migrate, which owns the transaction."""

from alembic import context

from chaos_store.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
    compare_type=True,
)
context.run_migrations()
