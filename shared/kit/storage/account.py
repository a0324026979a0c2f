"""Clients of the storage account, made at their first use, with time-outs that a request can bear."""

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from shared.kit.settings import settings

if TYPE_CHECKING:
    from azure.data.tables import TableServiceClient
    from azure.storage.blob import BlobServiceClient
    from azure.storage.queue import QueueServiceClient

# One retry and short time-outs: whoever calls has a better plan than to wait (the outbox, a later timer, a 503).
_PATIENCE: dict[str, Any] = {"retry_total": 1, "connection_timeout": 2, "read_timeout": 20}


@lru_cache(maxsize=1)
def blob_service() -> "BlobServiceClient":
    """Return the account's blob client."""
    from azure.storage.blob import BlobServiceClient  # noqa: PLC0415 - heavy import, see docs/architecture.md

    if connection := settings().storage_connection:
        return BlobServiceClient.from_connection_string(connection, **_PATIENCE)
    return BlobServiceClient(_endpoint("blob"), credential=_identity(), **_PATIENCE)


@lru_cache(maxsize=1)
def queue_service() -> "QueueServiceClient":
    """Return the account's queue client."""
    from azure.storage.queue import QueueServiceClient  # noqa: PLC0415

    if connection := settings().storage_connection:
        return QueueServiceClient.from_connection_string(connection, **_PATIENCE)
    return QueueServiceClient(_endpoint("queue"), credential=_identity(), **_PATIENCE)


@lru_cache(maxsize=1)
def table_service() -> "TableServiceClient":
    """Return the account's table client."""
    from azure.data.tables import TableServiceClient  # noqa: PLC0415

    if connection := settings().storage_connection:
        return TableServiceClient.from_connection_string(connection, **_PATIENCE)
    return TableServiceClient(_endpoint("table"), credential=_identity(), **_PATIENCE)


def _endpoint(service: str) -> str:
    return f"https://{settings().storage_account}.{service}.core.windows.net"


def _identity() -> Any:
    from azure.identity import DefaultAzureCredential  # noqa: PLC0415

    return DefaultAzureCredential()
