"""Tables: small catalogues, one entity a row, by partition and row key."""

from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
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
