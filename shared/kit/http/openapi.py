"""The OpenAPI 3.1 document, made from what the routes declare about themselves; nothing is written twice.

It holds every answer that a route can give, and the refusals with their stable codes, so a test can check the app
against it.
"""

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import NoneType
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, models_json_schema
from pydantic_core import core_schema

from shared.kit.db.idempotency import IdempotencyKeyReused
from shared.kit.errors import Forbidden, NotFound, Refusal, StaleVersion
from shared.kit.http.call import Content, Redirect, alternatives_in, models_in
from shared.kit.http.endpoint import Route
from shared.kit.http.links import PREFIX, Links, links_of
from shared.kit.http.problems import (
    BodyTooLarge,
    Busy,
    DependencyDown,
    EdgeProblem,
    IdempotencyKeyRequired,
    InternalError,
    Invalid,
    InvalidToken,
    MalformedJson,
    MalformedRequest,
    OutcomeUnknown,
    Problem,
    TooManyRequests,
    Unauthenticated,
    WrongContentType,
    reason_phrase,
    status_of,
)
from shared.kit.http.request import MAX_FILE_BODY_BYTES, MAX_JSON_BYTES
from shared.kit.http.response import JSON, PROBLEM

type Json = dict[str, Any]
type Kind = type[Refusal | EdgeProblem]
type Mode = Literal["validation", "serialization"]

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_SCHEMAS = "#/components/schemas/"

_HEADERS: Json = {
    "Content-Disposition": {"description": "The file name to save it under.", "schema": {"type": "string"}},
    "ETag": {
        "description": "Identifies exactly this representation; send it as `If-None-Match` or `If-Match`.",
        "required": True,
        "schema": {"type": "string"},
    },
    "Idempotent-Replayed": {
        "description": "`true` if an earlier request with this Idempotency-Key has had its effect already.",
        "schema": {"type": "string", "const": "true"},
    },
    "Location": {
        "description": "Where to find it.",
        "required": True,
        "schema": {"type": "string", "format": "uri-reference"},
    },
    "RateLimit": {
        "description": 'What is left of the limit that was reached: `"name";r=calls;t=seconds`.',
        "schema": {"type": "string"},
    },
    "RateLimit-Policy": {
        "description": 'The limits that apply here: `"name";q=calls;w=seconds`, separated by commas.',
        "schema": {"type": "string"},
    },
    "Retry-After": {"description": "Seconds to wait before trying again.", "schema": {"type": "integer", "minimum": 0}},
    "WWW-Authenticate": {"description": "How to sign in (RFC 6750).", "required": True, "schema": {"type": "string"}},
    "X-Polling-Interval": {
        "description": "Milliseconds between two requests; asking more often brings nothing new.",
        "schema": {"type": "integer"},
    },
    "X-Request-Id": {
        "description": "The request's name in the logs: the one you sent, or a new one.",
        "required": True,
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"},
    },
}
_HEADERS_OF = {401: ["WWW-Authenticate"], 429: ["RateLimit", "RateLimit-Policy", "Retry-After"], 503: ["Retry-After"]}

_HEADER_PARAMETERS: Json = {
    "IdempotencyKey": {
        "name": "Idempotency-Key",
        "in": "header",
        "required": True,
        "description": "Identifies this request: repeating it repeats its answer, not its effect. A UUID will do.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    },
    "IfMatch": {
        "name": "If-Match",
        "in": "header",
        "description": "The ETag of the version that you edited: if somebody has changed it since, the answer is 412.",
        "schema": {"type": "string"},
    },
    "IfNoneMatch": {
        "name": "If-None-Match",
        "in": "header",
        "description": "The ETag of your copy: if your copy is still current, the answer is 304.",
        "schema": {"type": "string"},
    },
}
_BEARER: Json = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "JWT",
    "description": "An access token of the sign-in service (OpenID Connect).",
}


class _Schemas(GenerateJsonSchema):
    """JSON schemas with readable names, and without titles that repeat the field's name."""

    def normalize_name(self, name: str) -> str:
        """Name `Page[PackageOut]` as `PageOfPackageOut`."""
        return super().normalize_name(name.replace("[", "Of").replace("]", "").replace(", ", "And"))

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - pydantic's signature
        """Leave the title out: it would only repeat the name."""
        return False

    def field_is_required(
        self,
        field: core_schema.ModelField | core_schema.DataclassField | core_schema.TypedDictField,
        total: bool,  # noqa: FBT001 - pydantic's signature
    ) -> bool:
        """Require every field of an answer, whether it has a default or not."""
        if self.mode == "serialization" and field["type"] == "model-field":
            return field.get("serialization_exclude_if") is None
        return super().field_is_required(field, total)


@dataclass(frozen=True, slots=True)
class _Components:
    """The facts that all operations share.

    `models` holds the schema of each (model, mode), `gate` the gate's refusals, and `links` the links of each route.
    """

    models: Mapping[Any, Json]
    schemas: Json
    gate: Sequence[type[Refusal]]
    links: Mapping[str, Links]
    responses: Json = field(default_factory=dict)


def document(
    routes: Sequence[Route],
    *,
    title: str,
    version: str,
    server_url: str,
    description: str,
    gate_refusals: Sequence[type[Refusal]] = (Forbidden, NotFound),
) -> Json:
    """Return the OpenAPI document of `routes`; tags keep the routes' order, paths are sorted.

    `gate_refusals` are the errors that the routes' gate raises: a `NotFound` only on paths that name an event, the
    others on any path.
    """
    shared = _components(routes, gate_refusals)
    paths: dict[str, Json] = {}
    for route in sorted(routes, key=lambda route: (route.path, _METHODS.index(route.method))):
        paths.setdefault(PREFIX + route.path, {})[route.method.lower()] = _operation(route, shared)
    for name in {_query_name(route, shared) for route in routes if route.query is not None}:
        del shared.schemas[name]  # its fields have become parameters
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version, "description": description},
        "servers": [{"url": server_url}],
        "tags": [{"name": tag} for tag in dict.fromkeys(route.tag for route in routes)],
        "paths": paths,
        "components": {
            "securitySchemes": {"bearer": _BEARER},
            "parameters": _HEADER_PARAMETERS,
            "headers": _HEADERS,
            "responses": dict(sorted(shared.responses.items())),
            "schemas": dict(sorted(shared.schemas.items())),
        },
    }


def _components(routes: Sequence[Route], gate: Sequence[type[Refusal]]) -> _Components:
    used: dict[tuple[type[BaseModel], Mode], None] = {(Problem, "validation"): None}
    for route in routes:
        used |= {(model, "validation"): None for model in (route.body, route.query) if model is not None}
        used |= {(model, "serialization"): None for model in models_in(route.result)}
    models, made = models_json_schema(list(used), schema_generator=_Schemas, ref_template=_SCHEMAS + "{model}")
    schemas = made["$defs"]
    for name, schema in schemas.items():
        # Client generators name types after the schemas, so no two may share a name: pydantic would add module names.
        if "__" in name:
            raise ValueError(f"Two schemas share a name ({name}); give each a name of its own.")
        schema.pop("title", None)
    return _Components(models, schemas, gate, {route.name: links_of(route, routes) for route in routes})


def _operation(route: Route, shared: _Components) -> Json:
    summary, rest = _prose(route)
    operation: Json = {"operationId": route.name, "tags": [route.tag], "summary": summary}
    if rest:
        operation["description"] = rest
    # A public route may take a token as well: a signed-in user may see more of their own data.
    tokens: list[Json] = [{"bearer": []}] if route.takes_tokens else []
    operation["security"] = [{}, *tokens] if route.public else tokens
    operation["x-permission"] = str(route.permission)
    if parameters := [*_path_parameters(route), *_query_parameters(route, shared), *_header_parameters(route)]:
        operation["parameters"] = parameters
    if route.body is not None:
        operation["requestBody"] = {
            "description": f"At most {MAX_JSON_BYTES:,} bytes.",
            "required": True,
            "content": {JSON: {"schema": shared.models[route.body, "validation"]}},
        }
    elif route.raw_body is not None:
        operation["requestBody"] = {"required": True, "content": {JSON: {"schema": {"type": "object"}}}}
    elif route.file is not None:
        form = {"type": "object", "properties": {route.file: {"type": "string", "format": "binary"}}}
        operation["requestBody"] = {
            "description": f"At most {MAX_FILE_BODY_BYTES:,} bytes.",
            "required": True,
            "content": {"multipart/form-data": {"schema": form | {"required": [route.file]}}},
        }
    operation["responses"] = {str(code): answer for code, answer in sorted(_responses(route, shared).items())}
    return operation


def _prose(route: Route) -> tuple[str, str]:
    """Return the docstring's first sentence and the rest; a single line break counts as a space, as in Markdown."""
    text = inspect.getdoc(route.handler) or route.name.replace("_", " ").capitalize()
    first, *rest = re.split(r"(?<=[.!?])\s+|\n\n", text, maxsplit=1)
    return " ".join(first.split()).rstrip("."), "".join(rest).strip()


def _path_parameters(route: Route) -> Iterator[Json]:
    for name in re.findall(r"{(\w+)}", route.path):
        kind = route.path_parameters.get(name, UUID if name == "event_id" else str)
        schema = {"type": "string", "format": "uuid"} if kind is UUID else {"type": "string", "minLength": 1}
        yield {"name": name, "in": "path", "required": True, "schema": schema}


def _query_parameters(route: Route, shared: _Components) -> Iterator[Json]:
    if route.query is None:
        return
    model = shared.schemas[_query_name(route, shared)]
    for parameter, declared in model.get("properties", {}).items():
        schema = _never_null(declared)
        described = {"description": schema.pop("description")} if "description" in schema else {}
        required = {"required": True} if parameter in model.get("required", ()) else {}
        yield {"name": parameter, "in": "query"} | required | described | {"schema": schema}


def _query_name(route: Route, shared: _Components) -> str:
    reference: str = shared.models[route.query, "validation"]["$ref"]
    return reference.removeprefix(_SCHEMAS)


def _never_null(schema: Json) -> Json:
    """Return a query parameter's schema without null: a client leaves the parameter out instead."""
    schema = {key: value for key, value in schema.items() if (key, value) != ("default", None)}
    choices = [choice for choice in schema.get("anyOf", ()) if choice != {"type": "null"}]
    if len(choices) == 1:
        del schema["anyOf"]
        return {**choices[0], **schema}
    return schema | ({"anyOf": choices} if choices else {})


def _takes_version(route: Route) -> bool:
    return route.method in {"PUT", "PATCH", "DELETE"} or StaleVersion in route.refusals


def _header_parameters(route: Route) -> Iterator[Json]:
    taken = {
        "IdempotencyKey": route.replay is not None,
        "IfMatch": _takes_version(route),
        "IfNoneMatch": not route.writes and bool(models_in(route.result)),
    }
    for name, takes in taken.items():
        if takes:
            yield {"$ref": f"#/components/parameters/{name}"}
    for name, description in route.headers.items():
        yield {"name": name, "in": "header", "description": description, "schema": {"type": "string"}}


def _responses(route: Route, shared: _Components) -> dict[int, Json]:
    answers: dict[int, Json] = {}
    models = [shared.models[model, "serialization"] for model in models_in(route.result)]
    kinds = alternatives_in(route.result)
    replayed = ["Idempotent-Replayed"] if route.replay else []
    if models:
        polling = ["X-Polling-Interval"] if route.polling_ms else []
        headers = ["ETag", *(["Location"] if route.location else []), *polling, *replayed]
        schema = models[0] if len(models) == 1 else {"anyOf": models}
        for status in (route.status, *route.also):
            links = {"links": shared.links[route.name]} if shared.links[route.name] else {}
            content = {"content": {JSON: {"schema": schema}}}
            answers[status] = _response(reason_phrase(status), headers) | content | links
        if not route.writes:
            shared.responses["NotModified"] = _response("Your copy is still current", ["ETag"])
            answers[304] = {"$ref": "#/components/responses/NotModified"}
    if Content in kinds:
        answer = answers.setdefault(route.status, _response(reason_phrase(route.status), ["Content-Disposition"]))
        answer["content"] = answer.get("content", {}) | {route.content_type: {}}
    if Redirect in kinds:
        answers[302] = _response("The result is at the address in `Location`", ["Location"])
    if NoneType in kinds:
        answers[204] = _response("Done; there is nothing to return", replayed)
    for status, refusal in _refusals(route, shared).items():
        answers.setdefault(status, refusal)
    return answers


def _response(description: str, headers: Sequence[str]) -> Json:
    names = sorted({"X-Request-Id", *headers})
    return {"description": description, "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in names}}


def _refusals(route: Route, shared: _Components) -> dict[int, Json]:
    """Return the error answers by status; all operations share the answers that only the edge gives."""
    edge = list(_edge_kinds(route, shared.gate))
    by_status: dict[int, dict[str, Kind]] = {}
    for kind in (*edge, *route.refusals):
        status = status_of(kind) if issubclass(kind, Refusal) else kind.status
        by_status.setdefault(status, {}).setdefault(kind.code, kind)
    answers: dict[int, Json] = {}
    for status, kinds in by_status.items():
        answers[status] = _problem(status, kinds)
        if all(kind in edge for kind in kinds.values()):
            name = "Or".join(code.title().replace("_", "") for code in kinds)
            shared.responses[name] = answers[status]
            answers[status] = {"$ref": f"#/components/responses/{name}"}
    return answers


def _problem(status: int, kinds: Mapping[str, Kind]) -> Json:
    codes = "\n".join(f"- `{code}`: {kind.title()}" for code, kind in kinds.items())
    narrowed = {"allOf": [{"$ref": f"{_SCHEMAS}Problem"}, {"properties": {"code": {"enum": list(kinds)}}}]}
    answer = _response(f"{reason_phrase(status)}\n\n{codes}", _HEADERS_OF.get(status, []))
    return answer | {"content": {PROBLEM: {"schema": narrowed}}}


def _edge_kinds(route: Route, gate: Sequence[type[Refusal]]) -> Iterator[Kind]:
    """Yield the refusals that may come before the handler runs, or with any handler."""
    yield from (InternalError, Busy, DependencyDown)
    if route.takes_tokens:
        yield from (Unauthenticated, InvalidToken, TooManyRequests)
    if "{" in route.path:
        yield NotFound
    for kind in gate:
        # A public route checks a token too, but everybody has its permission.
        if not route.public and ("{event_id}" in route.path or not issubclass(kind, NotFound)):
            yield kind
    if route.body is not None:
        yield from (MalformedJson, BodyTooLarge, WrongContentType, Invalid)
    if route.raw_body is not None or route.file is not None:
        yield BodyTooLarge
    if route.file is not None:
        yield from (MalformedRequest, WrongContentType, Invalid)
    if route.query is not None:
        yield Invalid
    if route.replay is not None:
        yield from (IdempotencyKeyRequired, IdempotencyKeyReused)
    elif route.writes:
        yield OutcomeUnknown
    if _takes_version(route):
        yield StaleVersion
