"""Whether a database has the newest schema, found without Alembic, whose start takes a second or two."""

import re
from pathlib import Path

import psycopg

from infra.local.home import REPOSITORY

MIGRATIONS = REPOSITORY / "shared" / "migrations"
REVISION = re.compile(r"^revision(?::[^=]*)?\s*=\s*[\"'](\w+)[\"']", re.MULTILINE)
DOWN_REVISION = re.compile(r"^down_revision(?::[^=]*)?\s*=\s*[\"'](\w+)[\"']", re.MULTILINE)


def has_migrations() -> bool:
    """Whether there are migrations."""
    return (MIGRATIONS / "env.py").exists()


def is_current(database_url: str) -> bool:
    """Whether the database is at the newest revision; False also if this can't be found out."""
    newest = newest_revisions(MIGRATIONS / "versions")
    try:
        with psycopg.connect(database_url, connect_timeout=5) as connection:
            found = {row[0] for row in connection.execute("SELECT version_num FROM alembic_version")}
    except psycopg.Error:
        return False
    return bool(newest) and found == newest


def newest_revisions(versions: Path) -> set[str]:
    """The revisions that no other revision builds on; empty if a file can't be understood."""
    revisions: set[str] = set()
    built_on: set[str] = set()
    for path in versions.glob("*.py"):
        source = path.read_text()
        found = REVISION.search(source)
        if path.name == "__init__.py":
            continue
        if found is None:
            return set()
        revisions.add(found[1])
        built_on.update(DOWN_REVISION.findall(source))
    return revisions - built_on
