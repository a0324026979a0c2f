import asyncio
import json
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from infra.local.host.keys import load_keys
from infra.local.host.listing import show_functions
from infra.local.host.settings import GRACE_SECONDS, REPLACE_ME, HostConfig, connection_string

_REPOSITORY = Path(__file__).resolve().parents[3]
_BACKLOG = 2048
_SETTLED_SECONDS = 10.0
_LONGEST_WAIT = 5.0


class CannotStart(Exception):
    """The host cannot start; the text says why and what to do."""


class _Child:
    """A worker process and the pipe that it reports on."""

    def __init__(self, process: asyncio.subprocess.Process, line: socket.socket) -> None:
        self.process = process
        self.started = time.monotonic()
        self._line = line

    async def reports(self) -> AsyncIterator[dict[str, Any]]:
        """Yield what the process reports, until it ends."""
        reader, writer = await asyncio.open_connection(sock=self._line, limit=2**24)
        try:
            async for text in reader:
                yield json.loads(text)
        finally:
            writer.close()


class Supervisor:
    """Binds the port, starts the processes, restarts processes that die, and stops all in order."""

    def __init__(self, config: HostConfig, *, port: int, workers: int, http_only: bool = False) -> None:
        """`http_only` leaves the functions without an HTTP trigger to another host."""
        self._config = config
        self._port = port
        self._workers = workers
        self._http_only = http_only
        self._children: set[_Child] = set()
        self._stopping = asyncio.Event()
        self._forced = False
        self._functions: list[dict[str, Any]] = []
        self._shown_errors: set[str] = set()
        self._ready = asyncio.Event()

    async def run(self) -> int:
        """Run the host until a signal ends it; the exit code is 0 after an orderly stop.

        Raises CannotStart when the port is taken or the app cannot be indexed.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._ask_to_stop)
        load_keys(self._config.keys_file)
        with _listen(self._port) as listening:
            self._port = listening.getsockname()[1]
            try:
                await self._start_and_watch(listening)
            finally:
                await self._stop_children()
        return 1 if self._forced else 0

    def _ask_to_stop(self) -> None:
        if self._stopping.is_set():
            self._forced = True
            for child in self._children:
                _signal(child, signal.SIGKILL)
        else:
            print("Stopping (once more to force it)", flush=True)
            self._stopping.set()

    async def _start_and_watch(self, listening: socket.socket) -> None:
        """Start one HTTP worker, which indexes the app, then the others; then watch all of them."""
        first = asyncio.create_task(self._keep_alive("http", listening))
        stopped = asyncio.create_task(self._stopping.wait())
        ready = asyncio.create_task(self._ready.wait())
        await asyncio.wait({first, stopped, ready}, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if first.done():
            stopped.cancel()
            first.result()
            return
        watchers = [first]
        if not self._stopping.is_set():
            show_functions(self._functions)
            has_triggers = self._has_triggers()
            print(f"\nListening on http://127.0.0.1:{self._port}", flush=True)
            watchers += [asyncio.create_task(self._keep_alive("http", listening)) for _ in range(self._workers - 1)]
            if has_triggers:
                watchers.append(asyncio.create_task(self._keep_alive("background", listening)))
        done, _ = await asyncio.wait({stopped, *watchers}, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
        listening.close()
        for child in self._children:
            _signal(child, signal.SIGTERM)
        await asyncio.wait(watchers, timeout=GRACE_SECONDS + 2)
        for watcher in watchers:
            watcher.cancel()

    def _has_triggers(self) -> bool:
        others = [function for function in self._functions if function["kind"] != "httpTrigger"]
        if self._http_only:
            return False
        if others and connection_string("") is None:
            print(f"\nAzureWebJobsStorage is not set: the {len(others)} functions without an HTTP trigger are off")
            return False
        return bool(others)

    async def _keep_alive(self, role: str, listening: socket.socket) -> None:
        """Run a process of this role, and start another when it dies; wait longer if it dies soon after its start.

        Raises CannotStart when the first process of all fails to start.
        """
        wait = 0.1
        while not self._stopping.is_set():
            child = await self._spawn(role, listening)
            await self._listen_to(child, role)
            code = await child.process.wait()
            self._children.discard(child)
            if self._stopping.is_set():
                return
            if not self._ready.is_set():
                raise CannotStart(f"The {role} worker ended ({_ending(code)}) before it was ready")
            if code == REPLACE_ME:
                print(f"The {role} worker is replaced: a function overran functionTimeout in it", flush=True)
            else:
                print(f"The {role} worker {child.process.pid} ended ({_ending(code)}) and is replaced", flush=True)
            wait = 0.1 if time.monotonic() - child.started > _SETTLED_SECONDS else min(wait * 2, _LONGEST_WAIT)
            try:
                async with asyncio.timeout(wait):
                    await self._stopping.wait()
            except TimeoutError:
                pass

    async def _spawn(self, role: str, listening: socket.socket) -> _Child:
        ours, theirs = socket.socketpair()
        descriptors = [theirs.fileno()]
        command = [sys.executable, "-P", "-m", "infra.local.host.worker", role]
        command += ["--app", str(self._config.app_dir), "--report", str(theirs.fileno())]
        if role == "http":
            command += ["--listen", str(listening.fileno())]
            descriptors.append(listening.fileno())
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=descriptors,
                process_group=0,  # only the supervisor acts on a Ctrl-C in the terminal
                env=self._environment(),
            )
        child = _Child(process, ours)
        self._children.add(child)
        if self._stopping.is_set():
            _signal(child, signal.SIGTERM)
        return child

    def _environment(self) -> dict[str, str]:
        """Return the environment of the processes, with the variables that Azure Functions Core Tools would add."""
        path = os.pathsep.join(part for part in (str(_REPOSITORY), os.environ.get("PYTHONPATH")) if part)
        added = {
            "AZURE_FUNCTIONS_ENVIRONMENT": "Development",
            "FUNCTIONS_WORKER_RUNTIME": "python",
            "WEBSITE_HOSTNAME": f"localhost:{self._port}",
        }
        return {**added, **os.environ, "PYTHONPATH": path}

    async def _listen_to(self, child: _Child, role: str) -> None:
        async for report in child.reports():
            if report["event"] == "indexed" and not self._ready.is_set():
                self._functions = report["functions"]
            elif report["event"] == "ready":
                self._ready.set()
            elif report["event"] == "failed":
                if not self._ready.is_set():
                    raise CannotStart(report["error"])
                if report["error"] not in self._shown_errors:
                    self._shown_errors.add(report["error"])
                    print(f"The {role} worker cannot start:\n{report['error']}", file=sys.stderr, flush=True)

    async def _stop_children(self) -> None:
        """Kill the processes that are left, at once."""
        for child in self._children:
            _signal(child, signal.SIGKILL)
        for child in list(self._children):
            await child.process.wait()


def _listen(port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(("127.0.0.1", port))
    except OSError as error:
        listening.close()
        raise CannotStart(f"Port {port} cannot be used ({error.strerror}); choose another with --port") from error
    listening.listen(_BACKLOG)
    listening.set_inheritable(True)
    return listening


def _signal(child: _Child, number: signal.Signals) -> None:
    if child.process.returncode is None:
        child.process.send_signal(number)


def _ending(code: int) -> str:
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name
