"""A start skips Alembic only if the database is certainly at the newest revision."""

import psycopg

from infra.local import schema

FIRST = 'revision: str = "aaa"\ndown_revision: str | None = None\n'
SECOND = 'revision = "bbb"\ndown_revision = "aaa"\n'


def test_the_newest_revision_is_the_one_that_nothing_builds_on(tmp_path):
    (tmp_path / "__init__.py").touch()
    (tmp_path / "first.py").write_text(FIRST)
    assert schema.newest_revisions(tmp_path) == {"aaa"}
    (tmp_path / "second.py").write_text(SECOND)
    assert schema.newest_revisions(tmp_path) == {"bbb"}
    (tmp_path / "strange.py").write_text("revision = make()\n")
    assert schema.newest_revisions(tmp_path) == set()


def test_a_migrated_database_is_current_and_an_older_one_is_not(fresh_database):
    assert schema.is_current(fresh_database)
    with psycopg.connect(fresh_database, autocommit=True) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'older'")
        assert not schema.is_current(fresh_database)
        connection.execute("DROP TABLE alembic_version")
    assert not schema.is_current(fresh_database)
