import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn

from infra.local.host.settings import GRACE_SECONDS

log = logging.getLogger("functions.host")

_KEEP_ALIVE_SECONDS = 120
_PAUSE_WITHOUT_DESCRIPTORS = 0.2


class _SharedListener:
    """Takes one connection at each wake-up from the socket that all workers share.

    uvloop would take all waiting connections, so one worker would get nearly every connection of a burst.
    """

    def __init__(self, listening: socket.socket, protocol: Callable[[], asyncio.Protocol]) -> None:
        self._socket = listening
        self._protocol = protocol
        self._loop = asyncio.get_running_loop()
        self._starting: set[asyncio.Task[Any]] = set()
        listening.settimeout(0)
        self._loop.add_reader(listening, self._accept)

    def _accept(self) -> None:
        try:
            connection, _ = self._socket.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return  # another worker was quicker, or the client gave up
        except OSError as error:
            log.warning("No connection can be accepted at the moment: %s", error)
            self._loop.remove_reader(self._socket)
            self._loop.call_later(_PAUSE_WITHOUT_DESCRIPTORS, self._resume)
            return
        connection.settimeout(0)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        task = self._loop.create_task(self._loop.connect_accepted_socket(self._protocol, connection))
        self._starting.add(task)
        task.add_done_callback(self._started)

    def _started(self, task: asyncio.Task[Any]) -> None:
        self._starting.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.debug("A connection failed at its start: %s", task.exception())

    def _resume(self) -> None:
        if self._socket.fileno() != -1:
            self._loop.add_reader(self._socket, self._accept)

    def close(self) -> None:
        """Take no more connections."""
        self._loop.remove_reader(self._socket)

    async def wait_closed(self) -> None:
        """Return at once; other code waits for the connections."""


class HttpServer(uvicorn.Server):
    """uvicorn on an inherited socket; it leaves signals to its process."""

    def __init__(self, app: Any, listening: socket.socket) -> None:
        config = uvicorn.Config(
            app,
            http="httptools",
            loop="uvloop",
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=int(GRACE_SECONDS),
        )
        super().__init__(config)
        self._listening = listening
        self.serving = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture no signals."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002
        """Begin to accept connections."""
        await self.lifespan.startup()

        def protocol() -> asyncio.Protocol:
            made: asyncio.Protocol = self.config.http_protocol_class(  # type: ignore[call-arg]
                config=self.config, server_state=self.server_state, app_state=self.lifespan.state
            )
            return made

        self.servers = [_SharedListener(self._listening, protocol)]  # type: ignore[list-item]
        self.started = True
        self.serving.set()
