"""Endpoints: `bp.get/post/put/patch/delete` over Azure's own blueprint, one function for each route.

    @bp.post("v1/admin/events/{event_id}/ticket-packages", permission=Permission.PACKAGES_WRITE, status=201)
    def create_package(call: Call, body: PackageCreate) -> PackageOut: ...

A route without a permission can't be declared; a public route declares that it is public.
"""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any, NotRequired, Protocol, Required, TypedDict, Unpack
from uuid import UUID

import azure.functions as func
from pydantic import BaseModel

from shared.kit.errors import Refusal
from shared.kit.http.call import Call
from shared.kit.http.endpoint import Gate, Route, declare, observe, serve
from shared.kit.http.problems import EdgeProblem, MethodNotAllowed, NoSuchRoute
from shared.kit.http.request import request_id_of
from shared.kit.http.response import refuse
from shared.kit.metrics import REFUSALS
from shared.kit.rate_limits import RateLimit
from shared.kit.tracing import working_on

_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


class Declaration(TypedDict):
    """What a route declares in addition to its method, its path and its handler's type hints."""

    permission: Required[StrEnum]
    """What the caller must be allowed to do; `Permission.PUBLIC` lets everybody in."""
    status: NotRequired[int]
    """The status of success; 200 by default."""
    location: NotRequired[str]
    """Template of the new thing's address, filled from the path and from the answer's fields."""
    replay: NotRequired[Callable[[Call, UUID], BaseModel]]
    """Makes an Idempotency-Key required; answers a repeated request from the id of what the first request made."""
    takes_tokens: NotRequired[bool]
    """False if the Authorization header is not a user's token; the handler checks it then."""
    also: NotRequired[tuple[int, ...]]
    """Other statuses that the handler may answer with, for the same model (`Answer`)."""
    content_type: NotRequired[str]
    """The content type that a handler which returns `Content` sends."""
    headers: NotRequired[Mapping[str, str]]
    """Request headers that the handler reads, with what they are for."""
    header_fields: NotRequired[Mapping[str, str]]
    """Headers that other routes read, and the field of this answer that holds each value: header → field."""
    limit: NotRequired[RateLimit]
    """How often one address may ask (for each event, if the path names one); beyond that the answer is 429."""
    polling_ms: NotRequired[int]
    """After how many milliseconds asking again can bring something new; sent to clients as `X-Polling-Interval`."""
    max_age: NotRequired[int]
    """For how many seconds any cache may keep the answer; without it, every cache must ask again each time."""
    refusals: NotRequired[tuple[type[Refusal | EdgeProblem], ...]]
    """Errors of this route that the reference names."""


class Register(Protocol):
    """A decorator that leaves the handler as it is."""

    def __call__[Handler: Callable[..., Any]](self, handler: Handler, /) -> Handler:
        """Register `handler` as the function of its own name."""


class Blueprint:
    """A group of endpoints that share a tag in the reference and a gate."""

    def __init__(
        self, tag: str, *, gate: Gate, public: StrEnum, after_write: Callable[[Call], None] | None = None
    ) -> None:
        """`gate` admits callers; `public` is the permission that everybody has.

        `after_write` runs after the commit of each route that may change something.
        """
        self.azure = func.Blueprint()
        self.routes: list[Route] = []
        self._tag, self._gate, self._public, self._after_write = tag, gate, public, after_write

    def get(self, path: str, **declared: Unpack[Declaration]) -> Register:
        """Register a read; it runs without a transaction."""
        return self._route("GET", path, declared)

    def post(self, path: str, **declared: Unpack[Declaration]) -> Register:
        """Register a command."""
        return self._route("POST", path, declared)

    def put(self, path: str, **declared: Unpack[Declaration]) -> Register:
        """Register a replacement."""
        return self._route("PUT", path, declared)

    def patch(self, path: str, **declared: Unpack[Declaration]) -> Register:
        """Register a partial update."""
        return self._route("PATCH", path, declared)

    def delete(self, path: str, **declared: Unpack[Declaration]) -> Register:
        """Register a deletion."""
        return self._route("DELETE", path, declared)

    def refuse_all_else(self, known: Sequence[Route]) -> None:
        """Answer a request that fits no route with a problem document: 405 if only the method is wrong, else 404."""
        patterns = [(re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(route.path))), route.method) for route in known]

        def no_such_route(req: func.HttpRequest) -> func.HttpResponse:
            started = time.perf_counter()
            request_id = request_id_of(req)
            path = req.route_params.get("path", "").strip("/")
            methods = sorted({method for pattern, method in patterns if pattern.fullmatch(path)})
            error = MethodNotAllowed(f"Use {' or '.join(methods)}.") if methods else NoSuchRoute()
            REFUSALS.labels(error.code).inc()
            answer = refuse(error, request_id)
            if methods:
                answer.headers["Allow"] = ", ".join(methods)
            with working_on("no_such_route", request_id=request_id, traceparent=req.headers.get("traceparent")):
                seconds = time.perf_counter() - started
                observe(req, answer, function="no_such_route", path="", seconds=seconds)
            return answer

        bind = self.azure.route(route="{*path}", methods=_METHODS, auth_level=func.AuthLevel.ANONYMOUS)
        self.azure.function_name(no_such_route.__name__)(bind(no_such_route))

    def _route(self, method: str, path: str, declared: Declaration) -> Register:
        def register[Handler: Callable[..., Any]](handler: Handler, /) -> Handler:
            route = declare(
                handler,
                method=method,
                path=path,
                public=declared["permission"] is self._public,
                gate=self._gate,
                tag=self._tag,
                after_write=self._after_write,
                **declared,
            )
            self.routes.append(route)

            # The worker reads this signature: exactly `req`, and no wrapped function (functools.wraps breaks indexing).
            def run(req: func.HttpRequest) -> func.HttpResponse:
                return serve(route, req)

            run.__name__ = run.__qualname__ = route.name
            bind = self.azure.route(route=path, methods=[method], auth_level=func.AuthLevel.ANONYMOUS)
            self.azure.function_name(route.name)(bind(run))
            return handler

        return register
