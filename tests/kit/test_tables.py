"""An entity is changed only by a caller that saw its last version; an outdated caller undoes nothing."""

import uuid

import pytest

from tests.architecture.application import load

TABLE = "kittests"


@pytest.fixture
def tables(app_environment):
    return load("shared.kit.storage.tables", app_environment)


@pytest.fixture
def key():
    return TABLE, uuid.uuid4().hex, "row"


def count_up(properties):
    return {"count": properties.get("count", 0) + 1}


def test_who_saw_an_entity_last_need_not_read_it(tables, key, monkeypatch):
    tables.change_entity(*key[:2], "other", count_up)
    monkeypatch.setattr(tables, "_see", lambda *_: pytest.fail("it was read"))
    seen = tables.change_entity(*key, count_up, last_seen=tables.ABSENT)
    assert tables.get_entity(*key)["count"] == 1
    seen = tables.change_entity(*key, count_up, last_seen=seen)
    assert tables.get_entity(*key)["count"] == seen.properties["count"] == 2


@pytest.mark.parametrize("mistake", ["thought absent", "changed since", "deleted since"])
def test_a_caller_with_an_outdated_entity_reads_it_and_decides_again(mistake, tables, key):
    believed = tables.ABSENT if mistake == "thought absent" else tables.change_entity(*key, lambda _: {"count": 40})
    if mistake == "deleted since":
        tables.delete_entity(*key)
    else:
        tables.change_entity(*key, lambda _: {"count": 6, "note": "by somebody else"})
    seen = tables.change_entity(*key, count_up, last_seen=believed)
    found = tables.get_entity(*key)
    assert {name: found.get(name) for name in ("count", "note")} == seen.properties | {"note": None}
    assert seen.properties["count"] == (1 if mistake == "deleted since" else 7)


def test_a_belief_alone_leaves_nothing_as_it_is(tables, key):
    """If `change` wants no change to the entity that the caller believed in, it is asked again about the real one."""
    tables.change_entity(*key, lambda _: {"count": 6})
    seen = tables.change_entity(*key, lambda entity: count_up(entity) if entity else None, last_seen=tables.ABSENT)
    assert seen.properties == {"count": 7}
    assert tables.change_entity(*key, lambda _: None, last_seen=tables.ABSENT).properties == {"count": 7}


def test_a_table_that_somebody_deleted_is_made_again(tables):
    tables.change_entity("deletedtests", "one", "row", count_up)
    tables.table_service().delete_table("deletedtests")
    assert tables.change_entity("deletedtests", "one", "row", count_up).properties == {"count": 1}
    assert tables.get_entity("deletedtests", "one", "row")["count"] == 1
