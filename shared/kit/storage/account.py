"""Clients of the storage account, made at their first use, with a breaker and time-outs short enough for a request."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from shared.kit.breaker import Breaker
from shared.kit.settings.storage import storage_settings

if TYPE_CHECKING:
    from azure.data.tables import TableServiceClient
    from azure.storage.blob import BlobServiceClient
    from azure.storage.queue import QueueServiceClient

# One retry and short time-outs: every caller can do better than wait (the outbox, a later timer, a 503).
# (The clients' own pause before a retry is 15 s and more.)
_PATIENCE: dict[str, Any] = {
    "retry_total": 1,
    "initial_backoff": 0.3,
    "increment_base": 1,
    "random_jitter_range": 0.2,
    "connection_timeout": 2,
    "read_timeout": 5,
}

# For questions that are not worth a wait, such as health checks.
IMPATIENCE: dict[str, Any] = {"retry_total": 0, "connection_timeout": 1, "read_timeout": 1}


@lru_cache(maxsize=1)
def blob_service() -> "BlobServiceClient":
    """Return the account's blob client."""
    from azure.storage.blob import BlobServiceClient  # noqa: PLC0415 - heavy import, see docs/architecture.md

    if connection := storage_settings().storage_connection:
        return BlobServiceClient.from_connection_string(connection, **_PATIENCE)
    return BlobServiceClient(_endpoint("blob"), credential=_identity(), **_PATIENCE)


@lru_cache(maxsize=1)
def queue_service() -> "QueueServiceClient":
    """Return the account's queue client."""
    from azure.storage.queue import QueueServiceClient  # noqa: PLC0415

    if connection := storage_settings().storage_connection:
        return QueueServiceClient.from_connection_string(connection, **_PATIENCE)
    return QueueServiceClient(_endpoint("queue"), credential=_identity(), **_PATIENCE)


@lru_cache(maxsize=1)
def table_service() -> "TableServiceClient":
    """Return the account's table client."""
    from azure.data.tables import TableServiceClient  # noqa: PLC0415

    if connection := storage_settings().storage_connection:
        return TableServiceClient.from_connection_string(connection, **_PATIENCE)
    return TableServiceClient(_endpoint("table"), credential=_identity(), **_PATIENCE)


def _endpoint(service: str) -> str:
    return f"https://{storage_settings().storage_account}.{service}.core.windows.net"


def _identity() -> Any:
    from azure.identity import DefaultAzureCredential  # noqa: PLC0415

    return DefaultAzureCredential()


class StorageDown(Exception):
    """The storage account is out of reach."""


@contextmanager
def storage_errors() -> Iterator[None]:
    """Raise `StorageDown` for the errors that the storage client raises when it can't reach the account.

    Once one request has waited in vain, the requests after it fail at once until the account answers again. If all of
    them waited, no threads would be left for selling.
    """
    from azure.core.exceptions import AzureError, ServiceRequestError, ServiceResponseError  # noqa: PLC0415

    if _breaker.is_open:
        raise StorageDown
    try:
        yield
    except AzureError as error:
        if isinstance(error, ServiceRequestError | ServiceResponseError):  # not reached, or no answer
            _breaker.trip(error)
        raise StorageDown from error


def ping_storage() -> None:
    """Ask the account for something small with a short time-out; raises what the client raises."""
    blob_service().get_service_properties(**IMPATIENCE)


_breaker = Breaker("storage", ping_storage)
