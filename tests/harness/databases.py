from urllib.parse import urlsplit

import psycopg
from psycopg import sql


def clone(template_url: str, name: str) -> str:
    """Create the database `name` as a copy of the template; returns its URL."""
    template = urlsplit(template_url)
    statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
        sql.Identifier(name), sql.Identifier(template.path.lstrip("/"))
    )
    _execute(template_url, statement)
    return template._replace(path=f"/{name}").geturl()


def drop(url: str) -> None:
    """Drop the database, ending the sessions that still use it."""
    name = urlsplit(url).path.lstrip("/")
    _execute(url, sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def _execute(url: str, statement: sql.Composed) -> None:
    admin = urlsplit(url)._replace(path="/postgres").geturl()
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(statement)
