import asyncio
import functools
import importlib
import itertools
import json
import logging
import secrets
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.local.host.protocol import Envelope, Message, ParameterBinding, StatusResult, TypedData

log = logging.getLogger("functions.host")

_CHAINED = "\nDuring handling of the above exception, another exception occurred:"
_NOT_OF_THE_APP = ("/azure_functions_runtime/", "/importlib/__init__.py", "/concurrent/futures/thread.py", "<frozen ")

_NO_RETRY = Message(retry_count=0, max_retry_count=0, exception=None)
_NO_TRACE = Message(trace_parent="", trace_state="", attributes={})


class IndexingFailed(Exception):
    """The app could not be imported, or has no function; the text says why."""


class FunctionFailed(Exception):
    """A function raised, or took longer than `functionTimeout`; the text is its traceback."""


class FunctionTimedOut(FunctionFailed):
    """A function took longer than `functionTimeout`; a plain `def` may still run in its thread."""


@dataclass(frozen=True)
class Function:
    """One function of the app with its bindings, as in its function.json."""

    id: str
    name: str
    trigger: Mapping[str, Any]
    inputs: Sequence[Mapping[str, Any]]
    outputs: Mapping[str, Mapping[str, Any]]
    text_inputs: frozenset[str]

    @functools.cached_property
    def has_bindings(self) -> bool:
        """Whether there are bindings to read or write besides the trigger and an HTTP answer."""
        return bool(self.inputs) or any(binding["type"] != "http" for binding in self.outputs.values())

    @property
    def kind(self) -> str:
        """The type of the trigger, such as `httpTrigger`."""
        return str(self.trigger["type"])


class FunctionApp:
    """The app in this process: indexed once, then invoked through the runtime library."""

    def __init__(self, app_dir: Path, timeout: float | None) -> None:
        self._app_dir = app_dir
        self._timeout = timeout
        self._ids = itertools.count(1)
        self._id_prefix = secrets.token_hex(10)
        self.functions: list[Function] = []
        self.timed_out = asyncio.Event()

    async def index(self) -> None:
        """Import the app and list its functions.

        Raises IndexingFailed with the traceback of the app's own error.
        """
        sys.path.insert(0, str(self._app_dir))
        runtime: Any = importlib.import_module("azure_functions_runtime")  # slow, and only workers need it

        runtime.start_threadpool_executor()
        self._invocation_request = runtime.invocation_request
        init = await runtime.worker_init_request(
            Envelope("worker_init_request", capabilities={}, function_app_directory=str(self._app_dir))
        )
        _check(init.result)
        if "HttpUri" in init.capabilities:
            raise IndexingFailed("HTTP streaming (azurefunctions-extensions-http-fastapi) is not supported here")
        metadata = await runtime.functions_metadata_request(Envelope("functions_metadata_request"))
        _check(metadata.result)
        if not metadata.function_metadata_results:
            raise IndexingFailed(_why_nothing_was_found(self._app_dir))
        for found in metadata.function_metadata_results:
            loaded = await runtime.function_load_request(
                Envelope("function_load_request", function_id=found.function_id)
            )
            _check(loaded.result)
            self.functions.append(_function(found))

    async def invoke(
        self,
        function: Function,
        inputs: list[ParameterBinding],
        *,
        metadata: Mapping[str, TypedData] | None = None,
        trace: Message = _NO_TRACE,
    ) -> Any:
        """Run the function and return the runtime's InvocationResponse.

        Raises FunctionFailed when it raised or took longer than `functionTimeout`.
        """
        tail = f"{next(self._ids):012x}"
        prefix = self._id_prefix
        envelope = Envelope(
            "invocation_request",
            invocation_id=f"{prefix[:8]}-{prefix[8:12]}-{prefix[12:16]}-{prefix[16:20]}-{tail}",
            function_id=function.id,
            input_data=inputs,
            trigger_metadata=metadata or {},
            trace_context=trace,
            retry_context=_NO_RETRY,
        )
        try:
            async with asyncio.timeout(self._timeout):
                response = await self._invocation_request(envelope)
        except TimeoutError:
            self.timed_out.set()
            raise FunctionTimedOut(f"{function.name} took longer than {self._timeout:g} s (functionTimeout)") from None
        if response.result.status != StatusResult.Success:
            raise FunctionFailed(_cause(response.result.exception))
        return response


def log_failure(function: Function, occasion: str, error: Exception) -> None:
    """Log that a function failed; the text of the error holds the function's traceback."""
    log.error("%s failed on %s: %s", function.name, occasion, str(error).rstrip())


def _check(result: Any) -> None:
    if result.status != StatusResult.Success:
        raise IndexingFailed(_cause(result.exception))


def _cause(exception: Any) -> str:
    """Return the traceback without the runtime's additions: its own frames, and its advice on failed imports."""
    trace = str(exception.stack_trace or exception.message)
    if "extend_exception_message" in trace:
        trace = trace.partition(_CHAINED)[0]
    kept: list[str] = []
    dropping = False
    for line in trace.rstrip().splitlines():
        if line.startswith("  File "):
            dropping = any(path in line for path in _NOT_OF_THE_APP)
        elif not line.startswith("    "):
            dropping = False
        if not dropping:
            kept.append(line)
    return "\n".join(kept).rstrip()


def _why_nothing_was_found(app_dir: Path) -> str:
    script = app_dir / "function_app.py"
    if not script.exists():
        return f"0 functions found: there is no {script}"
    return f"0 functions found: {script} registers none"


def _function(found: Any) -> Function:
    bindings: list[dict[str, Any]] = [json.loads(text) for text in found.raw_bindings]
    trigger = next(b for b in bindings if b["type"].lower().endswith("trigger"))
    return Function(
        id=found.function_id,
        name=found.name,
        trigger=trigger,
        inputs=[b for b in bindings if b is not trigger and b["direction"].lower() == "in"],
        outputs={b["name"]: b for b in bindings if b["direction"].lower() == "out"},
        text_inputs=_text_inputs(found.function_id),
    )


def _text_inputs(function_id: str) -> frozenset[str]:
    """Return the parameters that are annotated `str`; the runtime's published facts don't tell text from bytes."""
    registry: Any = importlib.import_module("azure_functions_runtime.handle_event")
    info = registry._functions.get_function(function_id)  # noqa: SLF001
    return frozenset(name for name, parameter in info.input_types.items() if parameter.pytype is str)
