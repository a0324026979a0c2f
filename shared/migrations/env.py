"""Alembic's entry: `alembic upgrade head` with DATABASE_URL set (configuration in pyproject.toml)."""

import os

from alembic import context
from sqlalchemy import create_engine

import shared.models  # noqa: F401 - registers every table
from shared.kit.db.base import Base


def _url() -> str:
    url = os.environ.get("DATABASE_URL")
    if not url:
        raise SystemExit("Set DATABASE_URL to the database that shall be migrated.")
    return url.replace("postgres://", "postgresql://", 1).replace("postgresql://", "postgresql+psycopg://", 1)


def run() -> None:
    """Run the migrations, each in a transaction that gives up rather than stop the sale of tickets."""
    # A migration that waits for a lock makes everything behind it wait as well; one that runs long holds what it has.
    options = "-c lock_timeout=5s -c statement_timeout=10min"
    engine = create_engine(_url(), connect_args={"options": options})
    with engine.connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            compare_server_default=True,
            transaction_per_migration=True,
        )
        with context.begin_transaction():
            context.run_migrations()
    engine.dispose()


run()
