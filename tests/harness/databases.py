import subprocess
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from infra.local.services.postgres_programs import find_programs


def clone(template_url: str, name: str) -> str:
    """Create the database `name` as a copy of the template; returns its URL."""
    template = urlsplit(template_url)
    statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
        sql.Identifier(name), sql.Identifier(template.path.lstrip("/"))
    )
    _execute(template_url, statement)
    return template._replace(path=f"/{name}").geturl()


def copy(template_url: str, url: str) -> None:
    """Copy the template's content to an empty database on any server; this takes a tenth of a migration's time."""
    programs = find_programs()
    dumped = subprocess.run([str(programs / "pg_dump"), template_url], capture_output=True, check=True)
    restore = [str(programs / "psql"), "--quiet", "--no-psqlrc", "--set=ON_ERROR_STOP=1", "--output=/dev/null", url]
    subprocess.run(restore, input=dumped.stdout, capture_output=True, check=True)


def drop(url: str) -> None:
    """Drop the database, ending the sessions that still use it."""
    name = urlsplit(url).path.lstrip("/")
    _execute(url, sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def _execute(url: str, statement: sql.Composed) -> None:
    admin = urlsplit(url)._replace(path="/postgres").geturl()
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(statement)
