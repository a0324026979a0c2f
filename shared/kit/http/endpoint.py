"""One endpoint at work: identify, admit, parse, run in one unit of work, answer.

The order matters. Nobody learns what input an endpoint takes before being admitted to it, and nothing is written before
all input is known to be good.
"""

import inspect
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import partial
from typing import Any, Protocol
from uuid import UUID

import azure.functions as func
import psycopg
from pydantic import BaseModel
from sqlalchemy import exc
from sqlalchemy.orm import Session

from shared.kit.actor import GUEST, Actor, Identity
from shared.kit.clock import utc_now
from shared.kit.db.faults import is_deadlock, is_lost_connection, is_too_slow, violated_constraint
from shared.kit.db.idempotency import Idempotency
from shared.kit.db.unit_of_work import UnitOfWork
from shared.kit.errors import Refusal
from shared.kit.http import request, response
from shared.kit.http.admissions import admissions
from shared.kit.http.call import Call, UploadedFile
from shared.kit.http.client_address import client_address
from shared.kit.http.limiting import EVENT_WRITES, count, count_user
from shared.kit.http.problems import Busy, DependencyDown, EdgeProblem, InternalError, OutcomeUnknown, Unauthenticated
from shared.kit.logs import access
from shared.kit.metrics import REFUSALS, REQUEST_SECONDS, RETRIES, status_class
from shared.kit.rate_limits import RateLimit
from shared.kit.settings.http import http_settings
from shared.kit.storage.account import StorageDown
from shared.kit.tracing import working_on

log = logging.getLogger(__name__)

RUNS_AT_MOST = 3
_NO_EVENT = UUID(int=0)
_KEY_TAKEN = "pk_idempotency_keys"


class Gate(Protocol):
    """Decides who may do what; the domain brings it."""

    def __call__(self, session: Session, identity: Identity, permission: StrEnum, event_id: UUID | None) -> Actor:
        """Return the actor; raise `Forbidden`, or `NotFound` for an event that the caller may not know about."""


@dataclass(frozen=True, slots=True)
class Route:
    """What a handler declares about itself: enough to serve it and to describe it."""

    method: str
    path: str
    handler: Callable[..., Any]
    permission: StrEnum
    public: bool
    gate: Gate
    takes_tokens: bool = True
    status: int = 200
    location: str | None = None
    replay: Callable[[Call, UUID], BaseModel] | None = None
    refusals: tuple[type[Refusal | EdgeProblem], ...] = ()
    also: tuple[int, ...] = ()
    content_type: str = "*/*"
    headers: Mapping[str, str] = field(default_factory=dict)
    header_fields: Mapping[str, str] = field(default_factory=dict)
    limit: RateLimit | None = None
    polling_ms: int | None = None
    max_age: int | None = None
    after_write: Callable[[Call], None] | None = None
    tag: str = ""
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    raw_body: str | None = None
    file: str | None = None
    path_parameters: dict[str, type] = field(default_factory=dict)
    result: Any = None

    @property
    def name(self) -> str:
        """The function's name, unique in the app."""
        return self.handler.__name__

    @property
    def writes(self) -> bool:
        """Whether the method may change something."""
        return self.method != "GET"


def declare(handler: Callable[..., Any], **declared: Any) -> Route:
    """Read a handler's type hints: `body` and `query` are models, an `UploadedFile` is a form's file, others the path.

    A body of type `bytes` is passed unchanged, for a handler that has to check its signature.
    """
    hints = inspect.get_annotations(handler, eval_str=True)
    result = hints.pop("return", None)
    known: dict[str, Any] = {"path_parameters": {}}
    for name, hint in hints.items():
        if hint is bytes:
            known["raw_body"] = name
        elif name in {"body", "query"}:
            known[name] = hint
        elif hint is UploadedFile:
            known["file"] = name
        elif hint is not Call:
            known["path_parameters"][name] = hint
            assert f"{{{name}}}" in declared["path"], f"{handler.__name__}: {name} is not in the path"
    return Route(handler=handler, result=result, **declared, **known)


def serve(route: Route, req: func.HttpRequest) -> func.HttpResponse:
    """Answer one request; every error becomes a problem document."""
    started = time.perf_counter()
    request_id = request.request_id_of(req)
    with working_on(route.name, request_id=request_id, traceparent=req.headers.get("traceparent")):
        answer = _answer_or_refuse(route, req, request_id)
        seconds = time.perf_counter() - started
        observe(req, answer, function=route.name, path=route.path, seconds=seconds)
    return answer


def observe(req: func.HttpRequest, answer: func.HttpResponse, *, function: str, path: str, seconds: float) -> None:
    """Count an answer and log it under its route as declared, because the address itself may hold secrets."""
    status, ms = answer.status_code, round(seconds * 1000, 1)
    REQUEST_SECONDS.labels(function, status_class(status)).observe(seconds)
    if access.isEnabledFor(logging.INFO):
        facts = {"method": req.method, "route": path, "status": status, "ms": ms}
        event_id = req.route_params.get("event_id", "")
        if request.is_id(event_id):
            facts["event_id"] = event_id
        access.info("%s %s %d in %s ms", req.method, path, status, ms, extra=facts)


def _answer_or_refuse(route: Route, req: func.HttpRequest, request_id: str) -> func.HttpResponse:
    refusal: Refusal | EdgeProblem
    try:
        return _run(route, req, request_id)
    except (Refusal, EdgeProblem) as error:
        refusal = error
    except StorageDown:
        log.warning("%s: the storage account is out of reach (request %s)", route.name, request_id)
        refusal = DependencyDown("The storage is out of reach.", dependency="storage")
    except Exception:
        log.exception("%s failed (request %s)", route.name, request_id)
        refusal = InternalError()
    REFUSALS.labels(refusal.code).inc()
    return response.refuse(refusal, request_id)


def _run(route: Route, req: func.HttpRequest, request_id: str) -> func.HttpResponse:
    """Run the handler in its own unit of work; after a deadlock or a lost connection run it again in a new one."""
    token = request.bearer_token_of(req) if route.takes_tokens else None
    if token is None and not route.public:
        raise Unauthenticated
    polls = (token, route.permission, req.route_params.get("event_id", "")) if token and route.polling_ms else None
    known = admissions().get(polls) if polls else None
    identity = _identify(token) if token and known is None else None
    parsed: dict[str, Any] | None = None
    policies = ""
    for run in range(1, RUNS_AT_MOST + 1):
        committing = False
        try:
            with UnitOfWork(read_only=not route.writes) as unit_of_work:
                call = _admit(route, req, known or identity, request_id, unit_of_work)
                if polls and known is None:
                    admissions().put(polls, call.actor)
                if parsed is None:
                    policies = _count(route, call)
                    parsed = _parse(route, req)
                result = route.handler(call, **parsed)
                if route.writes and route.after_write is not None:
                    unit_of_work.after_commit(partial(route.after_write, call))
                committing = True
                unit_of_work.commit()
                return _answer(route, req, call, result, parsed, policies=policies)
        except (Refusal, exc.SQLAlchemyError, psycopg.Error) as error:
            # The unit of work is closed by now. A thread that waits for a second connection while it holds a first one,
            # and perhaps a lock that other connections wait for, could exhaust the pool.
            try:
                replayed = _replay(route, req, identity, request_id, error)
            except (exc.SQLAlchemyError, psycopg.Error) as lost:  # the database may be away by now
                _give_up_unless_another_run_helps(route, lost, run=run, committing=False)
                continue
            if replayed is not None:
                return replayed
            _give_up_unless_another_run_helps(route, error, run=run, committing=committing)
    raise Busy


def _identify(token: str) -> Identity:
    from shared.kit.http.tokens import verifier  # noqa: PLC0415 - importing PyJWT takes 30 ms, and guests need no tokens

    return verifier().verify(token)


def _count(route: Route, call: Call) -> str:
    """Count the call against the limits and return their policies; sales are never limited by event."""
    policies = [count_user(call, here=route.polling_ms is not None)]
    if route.writes and not route.public and route.replay is None:
        policies.append(count(EVENT_WRITES, call) if call.event else None)
    if route.limit is not None:
        policies.append(count(route.limit, call))
    return ", ".join(policy for policy in policies if policy)


def _admit(
    route: Route, req: func.HttpRequest, who: Actor | Identity | None, request_id: str, unit_of_work: UnitOfWork
) -> Call:
    """Admit the caller: the gate decides about an identity; an actor was admitted a moment ago."""
    event_id = request.path_id(req.route_params, "event_id") if "{event_id}" in route.path else None
    if isinstance(who, Identity):
        who = route.gate(unit_of_work.session, who, route.permission, event_id)
    actor = replace(who or GUEST, request_id=request_id)
    headers = {name.lower(): value for name, value in req.headers.items()}
    return Call(
        actor=actor,
        now=utc_now(),
        request_id=request_id,
        unit_of_work=unit_of_work,
        event=event_id,
        if_match=request.if_match_of(req) if route.writes else None,
        keyed=_idempotency(route, req, actor, event_id) if route.replay else None,
        headers=headers,
        address=client_address(headers, trusted_hops=http_settings().trusted_proxy_hops),
    )


def _idempotency(route: Route, req: func.HttpRequest, actor: Actor, event_id: UUID | None) -> Idempotency:
    # A path without an event names an order, and the buyers of all events are one caller (nobody). So the order is
    # a part of the key's operation.
    of_what = "" if event_id else "/".join(value for _, value in sorted(req.route_params.items()))
    return Idempotency.of(
        event_id=event_id or _NO_EVENT,
        operation=f"{route.name} {of_what}".rstrip(),
        caller=str(actor.user_id),
        key=request.idempotency_key_of(req),
        request=b"\0".join((*(value.encode() for _, value in sorted(req.route_params.items())), req.get_body())),
    )


def _parse(route: Route, req: func.HttpRequest) -> dict[str, Any]:
    parsed: dict[str, Any] = {
        name: request.path_id(req.route_params, name) if kind is UUID else req.route_params[name]
        for name, kind in route.path_parameters.items()
    }
    if route.query is not None:
        parsed["query"] = request.query_of(route.query, req)
    if route.body is not None:
        parsed["body"] = request.body_of(route.body, req)
    if route.raw_body is not None:
        parsed[route.raw_body] = request.raw_body_of(req)
    if route.file is not None:
        parsed[route.file] = request.file_of(req, route.file)
    return parsed


def _answer(
    route: Route,
    req: func.HttpRequest,
    call: Call,
    result: object,
    parsed: dict[str, Any],
    *,
    policies: str = "",
    replayed: bool = False,
) -> func.HttpResponse:
    headers = {"X-Request-Id": call.request_id}
    if policies:
        headers["RateLimit-Policy"] = policies
    if route.polling_ms:
        headers["X-Polling-Interval"] = str(route.polling_ms)
    if route.max_age:
        headers["Cache-Control"] = f"public, max-age={route.max_age}"
    if route.location and isinstance(result, BaseModel):
        headers["Location"] = response.location_of(route.location, result, {"event_id": call.event} | parsed)
    if replayed:
        headers["Idempotent-Replayed"] = "true"
    return response.answer(req, result, status=route.status, headers=headers)


def _replay(
    route: Route, req: func.HttpRequest, identity: Identity | None, request_id: str, error: Exception
) -> func.HttpResponse | None:
    """Return the earlier answer when this request's key has had its effect already.

    It looks only after a refusal or a collision, so a first request pays nothing for it. It must look after a refusal
    too: the first request may have bought the very tickets that its retry now finds sold out.
    """
    if route.replay is None or not (isinstance(error, Refusal) or violated_constraint(error) == _KEY_TAKEN):
        return None
    with UnitOfWork(read_only=True) as unit_of_work:
        call = _admit(route, req, identity, request_id, unit_of_work)
        made = call.idempotency.find(call.session)
        if made is None:
            return None
        return _answer(route, req, call, route.replay(call, made), _parse(route, req), replayed=True)


def _give_up_unless_another_run_helps(route: Route, error: Exception, *, run: int, committing: bool) -> None:
    """Return if another run is safe and may succeed; otherwise raise the error for the client."""
    if isinstance(error, Refusal):
        raise error
    last = run >= RUNS_AT_MOST
    if is_deadlock(error):
        if last:
            raise Busy from error
        RETRIES.labels("deadlock").inc()
    elif is_lost_connection(error):
        # With an idempotency key an effect can't happen twice, even if its answer was lost: it is safe to run again.
        if committing and route.writes and route.replay is None:
            raise OutcomeUnknown from error
        if last:
            raise DependencyDown("The database is out of reach.", dependency="database") from error
        RETRIES.labels("connection").inc()
    elif is_too_slow(error):
        raise Busy from error
    elif violated_constraint(error) == _KEY_TAKEN:
        raise Busy("A request with this Idempotency-Key is being worked on; repeat it in a moment.") from error
    else:
        raise error
