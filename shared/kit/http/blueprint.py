"""Endpoints: `bp.get/post/put/patch/delete` over Azure's own blueprint, one function a route.

    @bp.post("v1/admin/events/{event_id}/ticket-packages", permission=Permission.PACKAGES_WRITE, status=201)
    def create_package(call: Call, body: PackageCreate) -> PackageOut: ...

A route without a permission can't be declared; a public one says so.
"""

from collections.abc import Callable
from enum import StrEnum
from functools import partialmethod
from typing import Any
from uuid import UUID

import azure.functions as func
from pydantic import BaseModel

from shared.kit.errors import Refusal
from shared.kit.http.call import Call
from shared.kit.http.endpoint import Gate, Route, declare, serve
from shared.kit.http.problems import EdgeProblem


class Blueprint:
    """A group of endpoints that share a tag in the reference, a gate, and nothing else."""

    def __init__(self, tag: str, *, gate: Gate, public: StrEnum) -> None:
        """`gate` admits callers; `public` is the permission that everybody has."""
        self.azure = func.Blueprint()  # type: ignore[no-untyped-call]
        self.routes: list[Route] = []
        self._tag, self._gate, self._public = tag, gate, public

    def route(
        self,
        method: str,
        path: str,
        *,
        permission: StrEnum,
        status: int = 200,
        location: str | None = None,
        replay: Callable[[Call, UUID], BaseModel] | None = None,
        refusals: tuple[type[Refusal | EdgeProblem], ...] = (),
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Register the decorated handler as the function of that name.

        `location` is a template of the new thing's address; `replay` makes the route require an Idempotency-Key and
        answers a repeated one; `refusals` are the domain errors to be named in the reference.
        """

        def register(handler: Callable[..., Any]) -> Callable[..., Any]:
            route = declare(
                handler,
                method=method,
                path=path,
                permission=permission,
                public=permission is self._public,
                gate=self._gate,
                status=status,
                location=location,
                replay=replay,
                refusals=refusals,
                tag=self._tag,
            )
            self.routes.append(route)

            # The worker reads this signature: exactly `req`, and nothing wrapped (functools.wraps breaks indexing).
            def run(req: func.HttpRequest) -> func.HttpResponse:
                return serve(route, req)

            run.__name__ = run.__qualname__ = handler.__name__
            self.azure.function_name(handler.__name__)(
                self.azure.route(route=path, methods=[method], auth_level=func.AuthLevel.ANONYMOUS)(run)
            )
            return handler

        return register

    get = partialmethod(route, "GET")
    post = partialmethod(route, "POST")
    put = partialmethod(route, "PUT")
    patch = partialmethod(route, "PATCH")
    delete = partialmethod(route, "DELETE")
