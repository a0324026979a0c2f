import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

from infra.local.host.bindings import Bindings
from infra.local.host.expressions import Names
from infra.local.host.functions import Function, FunctionApp
from infra.local.host.protocol import ParameterBinding, TypedData
from infra.local.host.settings import HostConfig
from infra.local.host.storage import Storage, StorageError

log = logging.getLogger("functions.host")

_MAX_WAIT = 2.0


class Outage:
    """Logs an outage of storage once, for any number of listeners that meet it, and once when it is over."""

    def __init__(self) -> None:
        self._down = False

    def begins(self, error: StorageError) -> None:
        """Log that storage failed, unless that was logged already."""
        if not self._down:
            self._down = True
            log.warning("Storage fails; the triggers that use it wait until it answers again: %s", error)

    def ends(self) -> None:
        """Log that storage answers again, if it had failed."""
        if self._down:
            self._down = False
            log.warning("Storage answers again")


class Stop:
    """The request to stop, which listeners check between two steps."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def __bool__(self) -> bool:
        return self._event.is_set()

    def set(self) -> None:
        """Ask every listener to stop."""
        self._event.set()

    async def wait(self) -> None:
        """Wait until asked to stop."""
        await self._event.wait()

    async def pause(self, seconds: float) -> None:
        """Wait for that time, or until asked to stop."""
        if seconds > 0:
            try:
                async with asyncio.timeout(seconds):
                    await self._event.wait()
            except TimeoutError:
                pass


async def keep_going(step: Callable[[], Awaitable[None]], *, stop: Stop, outage: Outage, name: str) -> None:
    """Repeat a listener's step until asked to stop; after an error it waits, longer each time, but never ends."""
    wait = 0.1
    while not stop:
        try:
            await step()
        except StorageError as error:
            outage.begins(error)
        except Exception:
            log.exception("The listener of %s had an error and goes on", name)
        else:
            wait = 0.1
            continue
        await stop.pause(wait)
        wait = min(wait * 2, _MAX_WAIT)


class TriggerHost:
    """What every listener needs, and the runs that are under way."""

    def __init__(self, config: HostConfig, app: FunctionApp, storage: Storage, bindings: Bindings) -> None:
        self.config = config
        self.storage = storage
        self.bindings = bindings
        self.stop = Stop()
        self.outage = Outage()
        self._app = app
        self._running: set[asyncio.Task[None]] = set()

    async def run(
        self, function: Function, data: TypedData, *, names: Names, metadata: Mapping[str, TypedData] | None = None
    ) -> None:
        """Invoke the function once, with its other inputs and its outputs.

        Raises FunctionFailed if the function fails, StorageError if a binding fails.
        """
        log.debug("Executing %s", function.name)
        inputs = [ParameterBinding(name=function.trigger["name"], data=data)]
        inputs += await self.bindings.read_inputs(function, names)
        response = await self._app.invoke(function, inputs, metadata=metadata)
        await self.bindings.write_outputs(function, response, names)
        log.debug("Executed %s", function.name)

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run work at the same time as the listeners; stopping waits for it."""
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def finish(self) -> None:
        """Wait for all work that was started."""
        while self._running:
            await asyncio.wait(self._running)

    async def keep_going(self, step: Callable[[], Awaitable[None]], name: str) -> None:
        """Repeat a listener's step until asked to stop."""
        await keep_going(step, stop=self.stop, outage=self.outage, name=name)
