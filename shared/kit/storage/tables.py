"""Tables: small catalogues with one entity in each row, found by partition key and row key."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any

from shared.kit.storage.account import table_service

if TYPE_CHECKING:
    from azure.data.tables import TableClient


@lru_cache(maxsize=16)
def _ensure_table(name: str) -> None:
    from azure.core.exceptions import ResourceExistsError  # noqa: PLC0415

    with suppress(ResourceExistsError):
        table_service().create_table(name)


def put_entity(table: str, entity: Mapping[str, Any]) -> None:
    """Write a whole entity (`PartitionKey`, `RowKey`, and its properties), replacing an older one."""
    from azure.data.tables import UpdateMode  # noqa: PLC0415

    _ensure_table(table)
    table_service().get_table_client(table).upsert_entity(dict(entity), mode=UpdateMode.REPLACE)


def get_entity(table: str, partition: str, row: str) -> dict[str, Any] | None:
    """Return one entity, or None."""
    from azure.core.exceptions import ResourceNotFoundError  # noqa: PLC0415

    try:
        return dict(table_service().get_table_client(table).get_entity(partition, row))
    except ResourceNotFoundError:
        return None


def list_entities(table: str, partition: str) -> list[dict[str, Any]]:
    """Return a partition's entities in the order of their row keys."""
    from azure.core.exceptions import ResourceNotFoundError  # noqa: PLC0415

    client = table_service().get_table_client(table)
    try:
        return [
            dict(entity)
            for entity in client.query_entities("PartitionKey eq @partition", parameters={"partition": partition})
        ]
    except ResourceNotFoundError:
        return []


@dataclass(frozen=True, slots=True)
class Seen:
    """An entity as it was when it was last read or written; without an etag the entity did not exist."""

    properties: dict[str, Any]
    etag: str | None


ABSENT = Seen({}, None)


def change_entity(
    table: str,
    partition: str,
    row: str,
    change: Callable[[dict[str, Any]], Mapping[str, Any] | None],
    *,
    last_seen: Seen | None = None,
) -> Seen:
    """Replace an entity's properties with the result of `change`, and return the entity as it is now.

    `change` gets {} when there is no entity; it returns None to leave the entity unchanged. It is called again when
    another writer was faster, so it must have no other effects. A caller that has just seen the entity, or has reason
    to believe that it is `ABSENT`, gives `last_seen` to save a read; if the entity has changed since, it is read.
    """
    from azure.core.exceptions import (  # noqa: PLC0415
        ResourceExistsError,
        ResourceModifiedError,
        ResourceNotFoundError,
    )

    client = table_service().get_table_client(table)
    while True:
        _ensure_table(table)
        seen = last_seen or _see(client, partition, row)
        changed = change(dict(seen.properties))
        if changed is None and last_seen is None:
            return seen
        try:
            if changed is not None:
                return _replace(client, partition, row, seen, changed)
        except (ResourceExistsError, ResourceModifiedError):
            pass
        except ResourceNotFoundError:  # the entity is gone, or the whole table
            _ensure_table.cache_clear()
        last_seen = None


def _see(client: "TableClient", partition: str, row: str) -> Seen:
    from azure.core.exceptions import ResourceNotFoundError  # noqa: PLC0415

    try:
        found = client.get_entity(partition, row)
    except ResourceNotFoundError:
        return ABSENT
    properties = {name: value for name, value in found.items() if name not in {"PartitionKey", "RowKey"}}
    return Seen(properties, str(found.metadata["etag"]))


def _replace(client: "TableClient", partition: str, row: str, seen: Seen, properties: Mapping[str, Any]) -> Seen:
    """Write an entity if it has not changed since it was seen; otherwise raise what the client raises."""
    from azure.core import MatchConditions  # noqa: PLC0415
    from azure.data.tables import UpdateMode  # noqa: PLC0415

    entity = {**properties, "PartitionKey": partition, "RowKey": row}
    if seen.etag is None:
        written = client.create_entity(entity)
    else:
        written = client.update_entity(
            entity, mode=UpdateMode.REPLACE, etag=seen.etag, match_condition=MatchConditions.IfNotModified
        )
    return Seen(dict(properties), str(written["etag"]))


def delete_entity(table: str, partition: str, row: str) -> None:
    """Delete an entity; it is no error if there is none."""
    _ensure_table(table)
    table_service().get_table_client(table).delete_entity(partition, row)


def claim_due(table: str, partition: str, *, now: datetime, until: datetime, most: int) -> list[dict[str, Any]]:
    """Return up to `most` entities whose `due_at` has come, and set it to `until`: no caller gets them earlier."""
    from azure.core import MatchConditions  # noqa: PLC0415
    from azure.core.exceptions import ResourceModifiedError, ResourceNotFoundError  # noqa: PLC0415
    from azure.data.tables import UpdateMode  # noqa: PLC0415

    _ensure_table(table)
    client = table_service().get_table_client(table)
    due = client.query_entities(
        "PartitionKey eq @partition and due_at le @now",
        parameters={"partition": partition, "now": now},
        results_per_page=most,
    )
    claimed = []
    for entity in islice(due, most):
        with suppress(ResourceModifiedError, ResourceNotFoundError):
            client.update_entity(
                {"PartitionKey": partition, "RowKey": entity["RowKey"], "due_at": until},
                mode=UpdateMode.MERGE,
                etag=str(entity.metadata["etag"]),
                match_condition=MatchConditions.IfNotModified,
            )
            claimed.append(dict(entity))
    return claimed
