"""Alembic's entry point: runs the migrations in the runner's transaction."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
