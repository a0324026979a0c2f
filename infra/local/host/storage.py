import asyncio
import base64
import contextlib
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from infra.local.host.settings import connection_string

if TYPE_CHECKING:
    from azure.storage.blob import BlobServiceClient
    from azure.storage.queue import QueueServiceClient

_OPTIONS: dict[str, Any] = {"retry_total": 0, "connection_timeout": 5, "read_timeout": 30}


class StorageError(Exception):
    """Storage does not answer, refuses, or is not configured."""


class Unreachable(StorageError):
    """Storage does not answer, or answers with a server error; a later try may succeed."""


class NotThere(StorageError):
    """The container, blob, queue or message does not exist (any more)."""


class Storage:
    """The storage accounts that bindings name, which are called from their own thread pool.

    The SDK's own retries are off: an outage shows at once, and each listener waits in its own way.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=32, thread_name_prefix="storage")
        self._blobs: dict[str, BlobServiceClient] = {}
        self._queues: dict[str, QueueServiceClient] = {}
        self._made: set[tuple[str, str, str]] = set()

    def blobs(self, connection: str) -> "BlobServiceClient":
        """Return the blob service of a connection.

        Raises StorageError when it is not configured.
        """
        if connection not in self._blobs:
            from azure.storage.blob import BlobServiceClient  # noqa: PLC0415 - slow, and few HTTP functions need it

            text = _required(connection)
            self._blobs[connection] = BlobServiceClient.from_connection_string(text, **_OPTIONS)
        return self._blobs[connection]

    def queues(self, connection: str) -> "QueueServiceClient":
        """Return the queue service of a connection.

        Raises StorageError when it is not configured.
        """
        if connection not in self._queues:
            from azure.storage.queue import QueueServiceClient  # noqa: PLC0415 - slow, and few HTTP functions need it

            text = _required(connection)
            self._queues[connection] = QueueServiceClient.from_connection_string(text, **_OPTIONS)
        return self._queues[connection]

    async def call[T](self, action: Callable[..., T], *args: Any, **options: Any) -> T:
        """Run a blocking action of the SDK in the pool.

        Raises NotThere if something does not exist, and StorageError for every other error or missing answer.
        """
        return await asyncio.get_running_loop().run_in_executor(
            self._pool, functools.partial(_translated, action, *args, **options)
        )

    async def ensure_container(self, connection: str, name: str) -> None:
        """Create the container unless it exists; each process asks once."""
        await self._ensure("blob", connection, name, lambda: self.blobs(connection).create_container(name))

    async def ensure_queue(self, connection: str, name: str) -> None:
        """Create the queue unless it exists; each process asks once."""
        await self._ensure("queue", connection, name, lambda: self.queues(connection).create_queue(name))

    def forget(self, kind: str, connection: str, name: str) -> None:
        """Have a container or queue created again, because it was found to be gone."""
        self._made.discard((kind, connection, name))

    async def _ensure(self, kind: str, connection: str, name: str, create: Callable[[], object]) -> None:
        if (kind, connection, name) not in self._made:
            await self.call(_unless_it_exists, create)
            self._made.add((kind, connection, name))

    async def send(self, connection: str, queue: str, body: str | bytes, *, encode: bool) -> None:
        """Put a message into a queue; a missing queue is created."""
        raw = body.encode() if isinstance(body, str) else body
        text = base64.b64encode(raw).decode() if encode else raw.decode()
        client = self.queues(connection).get_queue_client(queue)
        await self.ensure_queue(connection, queue)
        try:
            await self.call(client.send_message, text)
        except NotThere:
            self.forget("queue", connection, queue)
            await self.ensure_queue(connection, queue)
            await self.call(client.send_message, text)

    async def upload(self, connection: str, container: str, name: str, content: str | bytes, **options: Any) -> None:
        """Write a blob, replacing an older one; a missing container is created."""
        client = self.blobs(connection).get_blob_client(container, name)
        await self.ensure_container(connection, container)
        try:
            await self.call(client.upload_blob, content, overwrite=True, **options)
        except NotThere:
            self.forget("blob", connection, container)
            await self.ensure_container(connection, container)
            await self.call(client.upload_blob, content, overwrite=True, **options)

    async def download(self, connection: str, container: str, name: str) -> bytes:
        """Read a blob.

        Raises NotThere when there is none.
        """
        client = self.blobs(connection).get_blob_client(container, name)
        return await self.call(lambda: client.download_blob().readall())


def _required(connection: str) -> str:
    text = connection_string(connection)
    if text is None:
        raise StorageError(f"the setting {connection or 'AzureWebJobsStorage'} holds no storage connection string")
    return text


def _translated[T](action: Callable[..., T], *args: Any, **options: Any) -> T:
    from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError  # noqa: PLC0415 - slow

    try:
        return action(*args, **options)
    except ResourceNotFoundError as error:
        raise NotThere(_first_line(error)) from error
    except HttpResponseError as error:
        refused = error.status_code is not None and error.status_code < 500
        raise (StorageError if refused else Unreachable)(_first_line(error)) from error
    except AzureError as error:
        raise Unreachable(_first_line(error)) from error
    except ValueError as error:  # a malformed connection string or name
        raise StorageError(str(error)) from error


def _unless_it_exists(create: Callable[[], object]) -> None:
    from azure.core.exceptions import ResourceExistsError  # noqa: PLC0415 - slow to import

    with contextlib.suppress(ResourceExistsError):
        create()


def _first_line(error: Exception) -> str:
    return str(error).split("\n", 1)[0]
