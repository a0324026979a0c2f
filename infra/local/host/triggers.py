import asyncio
import logging

from infra.local.host.blobs import BlobListener, run_blob_at
from infra.local.host.functions import Function, FunctionFailed, log_failure
from infra.local.host.listening import TriggerHost
from infra.local.host.queues import QueueListener, run_message
from infra.local.host.settings import BadConfiguration, connection_string
from infra.local.host.storage import StorageError
from infra.local.host.timers import TimerListener, run_timer_now

log = logging.getLogger("functions.host")

type Listener = BlobListener | QueueListener | TimerListener

_LISTENERS: dict[str, type[Listener]] = {
    "blobTrigger": BlobListener,
    "queueTrigger": QueueListener,
    "timerTrigger": TimerListener,
}


def create_listeners(functions: list[Function], host: TriggerHost) -> list[Listener]:
    """Return a listener for each function without an HTTP trigger; one that cannot work is logged and left out."""
    listeners: list[Listener] = []
    for function in functions:
        if function.kind == "httpTrigger":
            continue
        create = _LISTENERS.get(function.kind)
        if create is None:
            log.error("%s is off: triggers of type %s are not supported here", function.name, function.kind)
            continue
        connection = str(function.trigger.get("connection", ""))
        if connection_string(connection) is None:
            log.error("%s is off: the setting %s is missing", function.name, connection or "AzureWebJobsStorage")
            continue
        try:
            listeners.append(create(function, host))
        except (BadConfiguration, KeyError) as error:
            log_failure(function, "its trigger, and stays off", error)
    return listeners


async def run_triggers(listeners: list[Listener], host: TriggerHost, grace: float) -> None:
    """Run all listeners until the host is asked to stop, then let running functions finish within the grace period."""
    listening = [asyncio.create_task(listener.listen()) for listener in listeners]
    await host.stop.wait()
    try:
        async with asyncio.timeout(grace):
            await asyncio.gather(*listening)
            await host.finish()
    except TimeoutError:
        log.warning("Some functions did not finish within %g s", grace)
        for listener in listeners:
            if isinstance(listener, QueueListener):
                await listener.release()


async def run_now(host: TriggerHost, function: Function, text: str | None) -> None:
    """Run a queue, blob or timer function once, now and in this process; failures are logged.

    The input of a queue function is the message, and the input of a blob function is `container/name`. A timer needs
    none.
    """
    try:
        if function.kind == "timerTrigger":
            await run_timer_now(host, function)
        elif function.kind == "queueTrigger":
            await run_message(host, function, (text or "").encode())
        elif function.kind == "blobTrigger":
            await run_blob_at(host, function, text or "")
        else:
            log.error("%s cannot be run by hand: %s", function.name, function.kind)
    except (FunctionFailed, StorageError, BadConfiguration) as error:
        log_failure(function, "a run by hand", error)
