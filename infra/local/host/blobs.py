import asyncio
import hashlib
import json
import logging
from typing import Any, NamedTuple
from urllib.parse import quote

from infra.local.host.expressions import lower_keys, path_pattern
from infra.local.host.functions import Function, FunctionFailed, log_failure
from infra.local.host.listening import TriggerHost
from infra.local.host.protocol import TypedData
from infra.local.host.storage import NotThere, StorageError, Unreachable

log = logging.getLogger("functions.host")

HOSTS_CONTAINER = "azure-webjobs-hosts"
_POISON_QUEUE = "webjobs-blobtrigger-poison"
_WAITS_BETWEEN_TRIES = (0.1, 0.2, 0.5, 1.0)


class Blob(NamedTuple):
    """One version of one blob."""

    container: str
    name: str
    etag: str
    properties: dict[str, Any]
    metadata: dict[str, str]


class BlobListener:
    """Runs a function once for each version of each blob that appears, by scanning the container.

    Each blob that is done has a receipt: a small blob in `azure-webjobs-hosts` whose metadata hold the ETag of the
    version that is done. The receipts are listed once, at the start, and then kept in memory, so a scan only lists the
    container.
    """

    def __init__(self, function: Function, host: TriggerHost) -> None:
        self._function = function
        self._host = host
        self._connection = str(function.trigger.get("connection", ""))
        self._container, self._pattern, self._prefix = path_pattern(str(function.trigger["path"]))
        self._receipts = f"blobreceipts/{host.config.host_id}/{function.name}/"
        self._done: dict[str, str] | None = None
        self._busy: set[str] = set()
        self._free = asyncio.Semaphore(host.config.blobs.parallelism)

    async def listen(self) -> None:
        """Scan until asked to stop, through any outage of storage."""
        await self._host.keep_going(self._step, self._function.name)

    async def _step(self) -> None:
        storage = self._host.storage
        await storage.ensure_container(self._connection, self._container)
        if self._done is None:
            self._done = await self._load_receipts()
        try:
            found = await storage.call(self._list)
        except NotThere:
            storage.forget("blob", self._connection, self._container)
            return
        keys = {_key(blob): blob for blob in found if self._pattern.fullmatch(blob.name)}
        self._done = {key: etag for key, etag in self._done.items() if key in keys or key in self._busy}
        for key, blob in keys.items():
            if key not in self._busy and self._done.get(key) != blob.etag:
                self._busy.add(key)
                self._host.start(self._handle(key, blob))
        self._host.outage.ends()
        await self._host.stop.pause(self._host.config.blobs.poll_seconds)

    def _list(self) -> list[Blob]:
        client = self._host.storage.blobs(self._connection).get_container_client(self._container)
        return [
            _blob(self._container, item)
            for item in client.list_blobs(name_starts_with=self._prefix or None, include=["metadata"])
        ]

    async def _load_receipts(self) -> dict[str, str]:
        await self._host.storage.ensure_container(self._connection, HOSTS_CONTAINER)
        client = self._host.storage.blobs(self._connection).get_container_client(HOSTS_CONTAINER)
        receipts = await self._host.storage.call(
            lambda: list(client.list_blobs(name_starts_with=self._receipts, include=["metadata"]))
        )
        return {item.name.rpartition("/")[2]: (item.metadata or {}).get("etag", "") for item in receipts}

    async def _handle(self, key: str, blob: Blob) -> None:
        try:
            async with self._free:
                if self._host.stop:
                    return
                if await self._dealt_with(blob) and self._done is not None:
                    self._done[key] = blob.etag
                    await self._write_receipt(key, blob)
        except StorageError as error:
            self._host.outage.begins(error)  # the next scan finds it again
        finally:
            self._busy.discard(key)

    async def _dealt_with(self, blob: Blob) -> bool:
        """Run the function, several times if it fails, then give up the blob; return False if the blob is not done."""
        tries = self._host.config.blobs.max_tries
        for attempt in range(1, tries + 1):
            try:
                await run_blob(self._host, self._function, blob, self._pattern.fullmatch(blob.name))
            except NotThere:
                return False
            except Unreachable:
                raise
            except (FunctionFailed, StorageError) as error:
                log_failure(self._function, f"blob {blob.container}/{blob.name}, try {attempt}", error)
            else:
                return True
            if self._host.stop:
                return False
            if attempt < tries:
                await self._host.stop.pause(_WAITS_BETWEEN_TRIES[min(attempt, len(_WAITS_BETWEEN_TRIES)) - 1])
        await self._give_up(blob)
        return True

    async def _give_up(self, blob: Blob) -> None:
        log.error("%s: blob %s/%s goes to %s", self._function.name, blob.container, blob.name, _POISON_QUEUE)
        content = {
            "Type": "BlobTrigger",
            "FunctionId": self._function.name,
            "BlobType": "BlockBlob",
            "ContainerName": blob.container,
            "BlobName": blob.name,
            "ETag": blob.etag,
        }
        await self._host.storage.send(
            self._connection, _POISON_QUEUE, json.dumps(content), encode=self._host.config.queues.base64
        )

    async def _write_receipt(self, key: str, blob: Blob) -> None:
        """Remember the version for the next start; it is retried, because without a receipt the function runs again."""
        metadata = {"etag": blob.etag, "blob": quote(blob.name)}
        wait = 0.2
        while True:
            try:
                await self._host.storage.upload(
                    self._connection, HOSTS_CONTAINER, self._receipts + key, b"", metadata=metadata
                )
            except StorageError as error:
                self._host.outage.begins(error)
                await asyncio.sleep(wait)
                wait = min(wait * 2, 3.0)
            else:
                return


def _key(blob: Blob) -> str:
    """Return a short name for a receipt; the blob's own name may already have the greatest length allowed."""
    return hashlib.sha256(f"{blob.container}/{blob.name}".encode()).hexdigest()[:40]


def _blob(container: str, item: Any) -> Blob:
    properties = {
        "ContentLength": item.size,
        "Length": item.size,
        "ContentType": item.content_settings.content_type,
        "ETag": item.etag,
        "LastModified": item.last_modified.isoformat(),
    }
    return Blob(container, item.name, str(item.etag).strip('"'), properties, item.metadata or {})


async def run_blob(host: TriggerHost, function: Function, blob: Blob, captured: Any) -> None:
    """Invoke a blob function for one blob.

    Raises NotThere if the blob was deleted meanwhile, and FunctionFailed or StorageError for other failures.
    """
    connection = str(function.trigger.get("connection", ""))
    path = f"{blob.container}/{blob.name}"
    data = await host.bindings.blob(function, function.trigger, blob.container, blob.name)
    uri = host.storage.blobs(connection).get_blob_client(blob.container, blob.name).url
    metadata = {
        "BlobTrigger": TypedData(string=path),
        "Uri": TypedData(string=uri),
        "Properties": TypedData(json=json.dumps(blob.properties)),
        "Metadata": TypedData(json=json.dumps(blob.metadata)),
    }
    names = {
        **lower_keys(captured.groupdict() if captured else {"name": blob.name}),
        "blobtrigger": path,
        "uri": uri,
        "metadata": lower_keys(blob.metadata),
        "properties": lower_keys(blob.properties),
    }
    await host.run(function, data, names=names, metadata=metadata)


async def run_blob_at(host: TriggerHost, function: Function, path: str) -> None:
    """Invoke a blob function for the blob at `container/name`, as the admin endpoint asks.

    Raises NotThere if there is no such blob, and FunctionFailed or StorageError for other failures.
    """
    container, _, name = path.strip("/").partition("/")
    client = host.storage.blobs(str(function.trigger.get("connection", ""))).get_blob_client(container, name)
    blob = _blob(container, await host.storage.call(client.get_blob_properties))
    _, pattern, _ = path_pattern(str(function.trigger["path"]))
    await run_blob(host, function, blob, pattern.fullmatch(name))
