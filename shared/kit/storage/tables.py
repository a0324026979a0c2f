"""Tables: small catalogues, one entity a row, by partition and row key."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from functools import lru_cache
from itertools import islice
from typing import Any

from shared.kit.storage.account import table_service


@lru_cache(maxsize=16)
def _ensure_table(name: str) -> None:
    from azure.core.exceptions import ResourceExistsError  # noqa: PLC0415

    with suppress(ResourceExistsError):
        table_service().create_table(name)


def put_entity(table: str, entity: Mapping[str, Any]) -> None:
    """Write an entity whole (`PartitionKey`, `RowKey`, and its properties), replacing an older one."""
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


def change_entity(
    table: str, partition: str, row: str, change: Callable[[dict[str, Any]], Mapping[str, Any] | None]
) -> dict[str, Any]:
    """Replace an entity's properties by what `change` makes of them, and return them as they are now.

    `change` gets {} when there is no entity; it returns None to leave everything as it is. When somebody else was
    faster it is asked again, so it must have no effects of its own.
    """
    from azure.core import MatchConditions  # noqa: PLC0415
    from azure.core.exceptions import (  # noqa: PLC0415
        ResourceExistsError,
        ResourceModifiedError,
        ResourceNotFoundError,
    )
    from azure.data.tables import UpdateMode  # noqa: PLC0415

    _ensure_table(table)
    client = table_service().get_table_client(table)
    keys = {"PartitionKey": partition, "RowKey": row}
    while True:
        try:
            found = client.get_entity(partition, row)
        except ResourceNotFoundError:
            found = None
        properties = {name: value for name, value in (found or {}).items() if name not in keys}
        changed = change(properties)
        if changed is None:
            return properties
        try:
            if found is None:
                client.create_entity({**changed, **keys})
            else:
                client.update_entity(
                    {**changed, **keys},
                    mode=UpdateMode.REPLACE,
                    etag=str(found.metadata["etag"]),
                    match_condition=MatchConditions.IfNotModified,
                )
        except (ResourceExistsError, ResourceModifiedError, ResourceNotFoundError):
            continue
        return dict(changed)


def delete_entity(table: str, partition: str, row: str) -> None:
    """Delete an entity; one that is not there is no error."""
    _ensure_table(table)
    table_service().get_table_client(table).delete_entity(partition, row)


def claim_due(table: str, partition: str, *, now: datetime, until: datetime, most: int) -> list[dict[str, Any]]:
    """Return up to `most` entities whose `due_at` has come, and move it to `until`: nobody else gets them before."""
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
