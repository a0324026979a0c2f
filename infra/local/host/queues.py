import asyncio
import base64
import binascii
import logging
from collections.abc import Callable
from typing import Any

from infra.local.host.expressions import expand_settings, json_names
from infra.local.host.functions import Function, FunctionFailed, log_failure
from infra.local.host.listening import TriggerHost
from infra.local.host.protocol import TypedData
from infra.local.host.storage import NotThere, StorageError

log = logging.getLogger("functions.host")

_LEASE_SECONDS = 60
_POISON = "-poison"
_FIRST_WAIT = 0.1
_WAITS_TO_SETTLE = (0.2, 0.5, 1.0, 2.0, 4.0)


class _Lease:
    """Keeps a message invisible to others while it is worked on, and knows its current receipt."""

    def __init__(self, message: Any) -> None:
        self.id: str = message.id
        self.receipt: str = message.pop_receipt
        self._done = asyncio.Event()

    async def renew(self, update: Callable[["_Lease", float], Any]) -> None:
        """Prolong the lease until `end` is called; a renewal that fails is tried again."""
        while True:
            try:
                async with asyncio.timeout(_LEASE_SECONDS / 3):
                    await self._done.wait()
            except TimeoutError:
                await self._prolong(update)
            else:
                return

    async def _prolong(self, update: Callable[["_Lease", float], Any]) -> None:
        try:
            await update(self, _LEASE_SECONDS)
        except StorageError as error:
            log.warning("The lease of message %s could not be renewed: %s", self.id, error)

    def end(self) -> None:
        """Stop renewing."""
        self._done.set()


class QueueListener:
    """Runs a function for the messages of a queue: several at a time, with retries, then the poison queue."""

    def __init__(self, function: Function, host: TriggerHost) -> None:
        self._function = function
        self._host = host
        self._options = host.config.queues
        self._connection = str(function.trigger.get("connection", ""))
        self._queue = expand_settings(str(function.trigger["queueName"]))
        self._leases: dict[str, _Lease] = {}
        self._slot_free = asyncio.Event()
        self._wait = _FIRST_WAIT

    async def listen(self) -> None:
        """Take messages until asked to stop, through any outage of storage."""
        await self._host.keep_going(self._step, self._function.name)

    async def release(self) -> None:
        """Give back the messages that are still being worked on, so that the next start sees them at once."""
        for lease in list(self._leases.values()):
            try:
                await self._set_invisible(lease, 0)
            except StorageError:
                return

    async def _step(self) -> None:
        if len(self._leases) > self._options.new_batch_threshold:
            self._slot_free.clear()
            await self._slot_free.wait()
            return
        messages = await self._receive()
        self._host.outage.ends()
        for message in messages:
            lease = _Lease(message)
            self._leases[message.id] = lease
            self._host.start(self._handle(message, lease))
        if messages:
            self._wait = _FIRST_WAIT
        else:
            await self._host.stop.pause(self._wait)
            self._wait = min(self._wait * 2, self._options.max_polling_interval)

    async def _receive(self) -> list[Any]:
        storage = self._host.storage
        await storage.ensure_queue(self._connection, self._queue)
        size = self._options.batch_size
        try:
            return await storage.call(
                lambda: list(
                    self._client().receive_messages(
                        messages_per_page=size, max_messages=size, visibility_timeout=_LEASE_SECONDS
                    )
                )
            )
        except NotThere:
            storage.forget("queue", self._connection, self._queue)
            return []

    def _client(self) -> Any:
        return self._host.storage.queues(self._connection).get_queue_client(self._queue)

    async def _handle(self, message: Any, lease: _Lease) -> None:
        renewal = asyncio.create_task(lease.renew(self._set_invisible))
        try:
            succeeded = await self._try(message)
            lease.end()
            await renewal
            await self._settle(message, lease, succeeded=succeeded)
        except StorageError as error:
            self._host.outage.begins(error)  # the lease runs out, and the message comes back
        finally:
            lease.end()
            self._leases.pop(lease.id, None)
            self._slot_free.set()

    async def _try(self, message: Any) -> bool | None:
        """Run the function; return True if it succeeded, False if it failed, None if no further try can help."""
        if message.dequeue_count > self._options.max_dequeue_count and not self._queue.endswith(_POISON):
            return None
        try:
            body = (
                base64.b64decode(message.content, validate=True) if self._options.base64 else message.content.encode()
            )
        except binascii.Error as error:
            log_failure(self._function, f"message {message.id}, not base64 (queues.messageEncoding)", error)
            return None
        try:
            await run_message(self._host, self._function, body, message)
        except (FunctionFailed, StorageError) as error:
            log_failure(self._function, f"message {message.id}, try {message.dequeue_count}", error)
            return False
        return True

    async def _settle(self, message: Any, lease: _Lease, *, succeeded: bool | None) -> None:
        """Delete the message, move it to the poison queue, or let it come back after `visibilityTimeout`."""
        client = self._client()
        if succeeded:
            await self._insist(lambda: client.delete_message(lease.id, lease.receipt))
        elif self._queue.endswith(_POISON):  # as in Azure, it has no poison queue itself; wait long
            await self._set_invisible(lease, 600)
        elif succeeded is None or message.dequeue_count >= self._options.max_dequeue_count:
            poison = self._queue + _POISON
            log.error("%s: message %s goes to %s", self._function.name, message.id, poison)
            await self._host.storage.send(self._connection, poison, message.content, encode=False)
            await self._insist(lambda: client.delete_message(lease.id, lease.receipt))
        else:
            await self._set_invisible(lease, self._options.visibility_timeout)

    async def _insist(self, action: Callable[[], None]) -> None:
        """Do the action; if storage fails, repeat it for some seconds, so that the work is not done twice."""
        for wait in _WAITS_TO_SETTLE:
            try:
                await self._host.storage.call(action)
            except NotThere:
                return
            except StorageError as error:
                self._host.outage.begins(error)
                await asyncio.sleep(wait)
            else:
                return
        await self._host.storage.call(action)

    async def _set_invisible(self, lease: _Lease, seconds: float) -> None:
        client = self._client()
        try:
            updated = await self._host.storage.call(
                client.update_message, lease.id, pop_receipt=lease.receipt, visibility_timeout=int(seconds)
            )
        except NotThere:
            return
        lease.receipt = updated.pop_receipt


async def run_message(host: TriggerHost, function: Function, body: bytes, message: Any = None) -> None:
    """Invoke a queue function with a message; without a message (the admin endpoint) the metadata are invented.

    Raises FunctionFailed or StorageError.
    """
    try:
        text = body.decode()
        data = TypedData(string=text)
    except UnicodeDecodeError:
        text, data = "", TypedData(bytes=body)
    facts: dict[str, str | int] = {"Id": "manual", "DequeueCount": 1, "PopReceipt": ""}
    if message is not None:
        facts = {
            "Id": message.id,
            "DequeueCount": message.dequeue_count,
            "PopReceipt": message.pop_receipt,
            "ExpirationTime": message.expires_on.isoformat(),
            "InsertionTime": message.inserted_on.isoformat(),
            "NextVisibleTime": message.next_visible_on.isoformat(),
        }
    metadata = {
        name: TypedData(json=str(value)) if isinstance(value, int) else TypedData(string=value)
        for name, value in facts.items()
    }
    metadata["QueueTrigger"] = TypedData(string=text)
    names = {name.lower(): str(value) for name, value in facts.items()} | {"queuetrigger": text} | json_names(body)
    await host.run(function, data, names=names, metadata=metadata)
