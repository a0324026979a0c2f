"""One process of the host: `python -m infra.local.host.worker http|background --app DIR --report FD [--listen FD]`."""

import argparse
import asyncio
import atexit
import ctypes
import json
import logging
import os
import signal
import socket
import sys
import time
import traceback
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from infra.local.host.settings import GRACE_SECONDS, REPLACE_ME, HostConfig, is_disabled, read_config

log = logging.getLogger("functions.host")

_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Listed:
    """What the supervisor shows of one function."""

    name: str
    kind: str
    where: str
    methods: tuple[str, ...] = ()
    level: str = "anonymous"
    disabled: bool = False


class Reporter:
    """The pipe to the supervisor: it carries reports, and its end means that the supervisor is gone."""

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=descriptor)

    def say(self, event: str, **facts: Any) -> None:
        """Report an event; if the supervisor is gone, nothing happens."""
        try:
            self._socket.sendall(json.dumps({"event": event, **facts}).encode() + b"\n")
        except OSError:
            log.debug("There is no supervisor to report to: %s", event)

    def die_with_supervisor(self, loop: asyncio.AbstractEventLoop) -> None:
        """End this process as soon as the pipe closes."""
        self._socket.settimeout(0)
        loop.add_reader(self._socket, self._check)

    def _check(self) -> None:
        try:
            ended = not self._socket.recv(1)
        except BlockingIOError:
            return
        except OSError:
            ended = True
        if ended:
            os._exit(1)


def main() -> None:
    """Run one process of the host until it is asked to stop."""
    parser = argparse.ArgumentParser()
    parser.add_argument("role", choices=["http", "background"])
    parser.add_argument("--app", type=Path, required=True)
    parser.add_argument("--report", type=int, required=True)
    parser.add_argument("--listen", type=int)
    options = parser.parse_args()
    _die_with_parent()
    os.environ.setdefault("TZ", "UTC")  # as on Azure
    time.tzset()
    _set_up_logging()
    reporter = Reporter(options.report)
    try:
        import uvloop  # noqa: PLC0415 - imported only now, so that a failure can be reported to the supervisor

        code = uvloop.run(_run(options, reporter))
    except BaseException as error:  # noqa: BLE001 - an app may raise SystemExit as it is imported
        reporter.say("failed", error="".join(traceback.format_exception(error)))
        code = 1
    atexit._run_exitfuncs()  # noqa: SLF001 - run the app's exit functions and end logging, which os._exit would skip
    sys.stdout.flush()
    os._exit(code)  # threads of functions that overran the grace period must not keep the process alive


async def _run(options: argparse.Namespace, reporter: Reporter) -> int:
    from infra.local.host.functions import FunctionApp, IndexingFailed  # noqa: PLC0415

    loop = asyncio.get_running_loop()
    reporter.die_with_supervisor(loop)
    config = read_config(options.app)
    os.chdir(config.app_dir)
    app = FunctionApp(config.app_dir, config.function_timeout)
    try:
        await app.index()
    except IndexingFailed as error:
        reporter.say("failed", error=str(error))
        return 1
    reporter.say("indexed", functions=[asdict(_listed(function, config)) for function in app.functions])
    app.functions = [function for function in app.functions if not is_disabled(function.name)]
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    recycling = loop.create_task(_stop_after_timeout(app, stop))
    if options.role == "background":
        # On Azure these functions run on other instances; here they must not slow down the answers to requests.
        os.nice(int(os.environ.get("FUNCTIONS_BACKGROUND_NICENESS", "10")))
    if options.role == "http":
        await _serve(config, app, socket.socket(fileno=options.listen), reporter, stop)
    else:
        await _run_background(config, app, reporter, stop)
    recycling.cancel()
    return REPLACE_ME if app.timed_out.is_set() else 0


async def _serve(config: HostConfig, app: Any, listening: socket.socket, reporter: Reporter, stop: Any) -> None:
    from infra.local.host.bindings import Bindings  # noqa: PLC0415
    from infra.local.host.http import HttpFront, build_router  # noqa: PLC0415
    from infra.local.host.keys import load_keys  # noqa: PLC0415
    from infra.local.host.server import HttpServer  # noqa: PLC0415
    from infra.local.host.storage import Storage  # noqa: PLC0415

    storage = Storage()
    bindings = Bindings(storage, base64=config.queues.base64)
    front = HttpFront(
        app,
        bindings,
        router=build_router(app.functions, config.route_prefix),
        keys=load_keys(config.keys_file),
        body_limit=config.body_limit,
    )

    async def run_by_hand(function: Any, text: str | None) -> None:
        from infra.local.host.listening import TriggerHost  # noqa: PLC0415
        from infra.local.host.triggers import run_now  # noqa: PLC0415

        await run_now(TriggerHost(config, app, storage, bindings), function, text)

    front.run_function = run_by_hand
    server = HttpServer(front, listening)
    serving = asyncio.create_task(server.serve())
    await server.serving.wait()
    reporter.say("ready")
    await stop.wait()
    server.should_exit = True
    await serving
    try:
        async with asyncio.timeout(GRACE_SECONDS):
            await front.finish_background()
    except TimeoutError:
        log.warning("Some functions started by hand did not finish within %g s", GRACE_SECONDS)


async def _run_background(config: HostConfig, app: Any, reporter: Reporter, stop: Any) -> None:
    from infra.local.host.bindings import Bindings  # noqa: PLC0415
    from infra.local.host.listening import TriggerHost  # noqa: PLC0415
    from infra.local.host.storage import Storage  # noqa: PLC0415
    from infra.local.host.triggers import create_listeners, run_triggers  # noqa: PLC0415

    storage = Storage()
    host = TriggerHost(config, app, storage, Bindings(storage, base64=config.queues.base64))
    listeners = create_listeners(app.functions, host)
    reporter.say("ready")
    running = asyncio.create_task(run_triggers(listeners, host, GRACE_SECONDS))
    await stop.wait()
    host.stop.set()
    await running


async def _stop_after_timeout(app: Any, stop: asyncio.Event) -> None:
    """Have this process replaced after a function overran its time-out, as Azure does: nothing else ends its thread."""
    await app.timed_out.wait()
    stop.set()


def _listed(function: Any, config: HostConfig) -> Listed:
    from infra.local.host.http import route_of  # noqa: PLC0415

    trigger = function.trigger
    disabled = is_disabled(function.name)
    if function.kind != "httpTrigger":
        where = str(trigger.get("queueName") or trigger.get("path") or trigger.get("schedule") or "")
        return Listed(function.name, function.kind, where, disabled=disabled)
    methods = tuple(str(method).upper() for method in trigger.get("methods") or ())
    level = str(trigger.get("authLevel", "function")).lower()
    where = route_of(function, config.route_prefix)
    return Listed(function.name, function.kind, where, methods, level, disabled=disabled)


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _set_up_logging() -> None:
    level = os.environ.get("FUNCTIONS_LOG_LEVEL", "INFO").upper()
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s", datefmt="%H:%M:%S")
    for name in ("azure", "asyncio", "uvicorn"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in ("azure.functions", "urllib3"):  # this host logs the same facts itself
        logging.getLogger(name).setLevel(logging.CRITICAL)


if __name__ == "__main__":
    main()
