"""What Alembic runs: it migrates over the connection that `storage.state` hands in, in one transaction."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], target_metadata=None)
with context.begin_transaction():
    context.run_migrations()
