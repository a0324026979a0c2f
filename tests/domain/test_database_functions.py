"""The database's functions are equal to their source files, so a reader of a source reads what runs."""

import re

import psycopg

from shared.migrations.functions import LEFT_FOR_THE_RELEASE_BEFORE, sources

_INSTALLED = """
SELECT p.proname, p.prosrc, pg_get_function_arguments(p.oid), pg_get_function_result(p.oid)
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE n.nspname = 'public' AND p.prokind = 'f'
   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
"""
_SOURCE = re.compile(
    r"CREATE OR REPLACE FUNCTION (\w+)\((.*?)\)\s*RETURNS (\w+) LANGUAGE plpgsql AS \$\$(.*)\$\$\s*", re.DOTALL
)


def test_every_function_of_the_database_is_what_its_source_says(fresh_database):
    with psycopg.connect(fresh_database) as connection:
        installed = {name: rest for name, *rest in connection.execute(_INSTALLED)}
    told = {}
    for name, text in sources().items():
        found = _SOURCE.search(text)
        assert found is not None, f"{name}.sql does not read as a function"
        assert found[1] == name
        told[name] = [found[4], ", ".join(found[2].replace("\n", " ").split(", ")).strip(), found[3]]
        told[name][1] = " ".join(told[name][1].split())
    assert {name: rest for name, rest in installed.items() if name not in LEFT_FOR_THE_RELEASE_BEFORE} == told
    assert installed.keys() >= LEFT_FOR_THE_RELEASE_BEFORE, "a dropped function has no source file left"


def test_what_is_left_for_the_release_before_has_no_source():
    assert not sources().keys() & LEFT_FOR_THE_RELEASE_BEFORE
