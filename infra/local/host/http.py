import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from infra.local.host.bindings import Bindings
from infra.local.host.expressions import Names, http_names
from infra.local.host.functions import Function, FunctionApp, FunctionFailed, log_failure
from infra.local.host.keys import Keys
from infra.local.host.messages import (
    Answer,
    BodyTooLarge,
    ClientGone,
    Headers,
    Receive,
    read_answer,
    read_body,
    read_headers,
    read_query,
)
from infra.local.host.protocol import Message, ParameterBinding, RpcHttp, TypedData
from infra.local.host.routes import Match, Router
from infra.local.host.storage import StorageError

log = logging.getLogger("functions.host")

type Send = Callable[[dict[str, Any]], Awaitable[None]]
type Scope = Mapping[str, Any]
type RunFunction = Callable[[Function, str | None], Awaitable[None]]

_NO_BODY = frozenset({204, 304})


class Refused(Exception):
    """The host itself answers a request, with this status and these headers."""

    def __init__(self, status: int, headers: Headers | None = None) -> None:
        super().__init__(status)
        self.status = status
        self.headers: Headers = headers or []


class HttpFront:
    """The ASGI app: finds the function for a request, checks its key, invokes it and passes the answer on."""

    def __init__(self, app: FunctionApp, bindings: Bindings, *, router: Router, keys: Keys, body_limit: int) -> None:
        self._app = app
        self._bindings = bindings
        self._router = router
        self._keys = keys
        self._body_limit = body_limit
        self._by_name = {function.name.lower(): function for function in app.functions}
        self._background: set[asyncio.Task[None]] = set()
        self.run_function: RunFunction | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; a function that was started finishes even if the client disconnects."""
        try:
            if scope["raw_path"].startswith(b"/admin/"):
                answer = await self._administer(scope, receive)
            else:
                answer = await self._serve(scope, receive)
        except Refused as refusal:
            answer = (refusal.status, refusal.headers, b"")
        except BodyTooLarge:
            answer = (413, [(b"connection", b"close")], b"")
        except ClientGone:
            return
        await _reply(send, answer)

    async def _serve(self, scope: Scope, receive: Receive) -> Answer:
        raw_path: bytes = scope["raw_path"]
        if b"%00" in raw_path:
            raise Refused(400)
        match = self._router.find(scope["method"], raw_path)
        function: Function | None = match.target
        if function is None:
            if match.allowed:
                raise Refused(405, [(b"allow", ", ".join(sorted(match.allowed)).encode())])
            raise Refused(404)
        headers = read_headers(scope["headers"])
        headers["x-forwarded-for"] = _forwarded_for(scope, headers)
        query = read_query(scope["query_string"])
        level = str(function.trigger.get("authLevel", "function")).lower()
        if level != "anonymous" and not self._keys.opens(function.name, level, _key(headers, query)):
            raise Refused(401)
        body = await read_body(receive, headers, self._body_limit)
        request = RpcHttp(
            method=scope["method"],
            url=_url(scope, headers),
            headers=headers,
            params=match.params,
            query=query,
            body=TypedData(bytes=body),
        )
        return await self._invoke(function, match, request)

    async def _invoke(self, function: Function, match: Match, request: Any) -> Answer:
        inputs = [ParameterBinding(name=function.trigger["name"], data=TypedData(http=request))]
        headers = request.headers
        trace = Message(
            trace_parent=headers.get("traceparent", ""), trace_state=headers.get("tracestate", ""), attributes={}
        )
        names: Names = {}
        try:
            if function.has_bindings:
                names = http_names(match.params, request.query, headers, request.body.bytes)
                inputs += await self._bindings.read_inputs(function, names)
            response = await self._app.invoke(function, inputs, trace=trace)
            if function.has_bindings:
                await self._bindings.write_outputs(function, response, names)
            return read_answer(function, response)
        except (FunctionFailed, StorageError, ValueError) as error:
            log_failure(function, f"{request.method} {request.url}", error)
            raise Refused(500) from error

    async def _administer(self, scope: Scope, receive: Receive) -> Answer:
        """Serve `/admin/…`: the state of the host, and `POST /admin/functions/{name}` to run a function now."""
        headers = read_headers(scope["headers"])
        if not self._keys.is_master(_key(headers, read_query(scope["query_string"]))):
            raise Refused(401)
        path = scope["path"].rstrip("/").lower()
        if path == "/admin/host/status":
            return 200, [(b"content-type", b"application/json")], b'{"state":"Running"}'
        function = self._by_name.get(path.removeprefix("/admin/functions/"))
        if function is None:
            raise Refused(404)
        if scope["method"] != "POST":
            raise Refused(405, [(b"allow", b"POST")])
        if function.kind == "httpTrigger" or self.run_function is None:
            raise Refused(400)
        body = await read_body(receive, headers, self._body_limit)
        self._start(self.run_function(function, _manual_input(body)))
        return 202, [], b""

    def _start(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def finish_background(self) -> None:
        """Wait for the functions that were started through the admin endpoint."""
        while self._background:
            await asyncio.wait(self._background)


def _key(headers: Mapping[str, str], query: Mapping[str, str]) -> str | None:
    return headers.get("x-functions-key") or query.get("code")


def _forwarded_for(scope: Scope, headers: Mapping[str, str]) -> str:
    """Return the `X-Forwarded-For` that Azure's front end would send: the client's own, then the client's address."""
    host, port = scope["client"] or ("", 0)
    client = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return ", ".join(part for part in (headers.get("x-forwarded-for"), client) if part)


def _url(scope: Scope, headers: Mapping[str, str]) -> str:
    path = scope["raw_path"].decode("latin-1")
    query = f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else ""
    return f"{scope['scheme']}://{headers.get('host', '')}{path}{query}"


def _manual_input(body: bytes) -> str | None:
    """Return the `input` of a request to the admin endpoint; an input that is no text is passed on as JSON."""
    try:
        given = json.loads(body or b"{}").get("input")
    except (ValueError, AttributeError) as error:
        raise Refused(400) from error
    return given if given is None or isinstance(given, str) else json.dumps(given)


async def _reply(send: Send, answer: Answer) -> None:
    status, headers, body = answer
    if status in _NO_BODY:
        body = b""
    else:
        headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def build_router(functions: list[Function], prefix: str) -> Router:
    """Return the routes of all HTTP functions; a route that two functions share is logged and belongs to the first."""
    router = Router()
    for function in functions:
        if function.kind != "httpTrigger":
            continue
        template = route_of(function, prefix)
        try:
            taken = router.add(template, function.trigger.get("methods") or (), function)
        except ValueError as error:
            log_failure(function, "its route", error)
            continue
        if taken is not None:
            log.warning("%s and %s share the route %s; %s answers", taken.name, function.name, template, taken.name)
    return router


def route_of(function: Function, prefix: str) -> str:
    """Return the route of an HTTP function with the prefix, as in `/api/events/{id}`."""
    route = function.trigger.get("route")
    path = (function.name if route is None else str(route)).strip("/")
    return "/" + "/".join(part for part in (prefix, path) if part)
