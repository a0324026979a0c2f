import json
from collections.abc import Iterator
from enum import StrEnum
from typing import Any, Literal
from uuid import UUID

import jsonschema_rs
import pytest
from pydantic import BaseModel, Field
from schemathesis.specs.openapi.definitions import OPENAPI_31

from shared.kit.actor import GUEST
from shared.kit.errors import Conflict, Forbidden, Gone, InvalidInput, NotFound, StaleVersion
from shared.kit.fields import Cents, Input, Moment, Name, Output
from shared.kit.http.blueprint import Blueprint
from shared.kit.http.call import Call, Content, Redirect, UploadedFile
from shared.kit.http.openapi import document
from shared.kit.http.problems import EdgeProblem


class Permission(StrEnum):
    PUBLIC = "public"
    STALLS_WRITE = "stalls:write"


class Full(Conflict):
    """No stall is left.

    More than this nobody needs to know.
    """

    code = "full"


class Closed(Gone):
    """The fair is over."""

    code = "closed"


class TooFewStalls(InvalidInput):
    """The fair has stalls already that would not fit."""

    code = "too_few_stalls"


class TooMany(EdgeProblem):
    """You ask too often."""

    status = 429
    code = "too_many_requests"


class Opening(Input):
    day: Literal["saturday", "sunday"]
    opens_at: Moment | None = None


class StallCreate(Input):
    """What a trader says of a stall."""

    name: Name = Field(description="Painted on the sign.")
    rent_cents: Cents
    tables: int = Field(default=1, ge=1, le=10)
    openings: list[Opening] = Field(default=[], max_length=7)


class StallOut(Output):
    id: UUID
    name: str
    neighbour: "StallOut | None" = None


class Page[T](Output):
    items: list[T]
    total: int


class StallsQuery(Input):
    page: int = Field(default=1, ge=1, description="Counted from 1.")
    name: str | None = Field(default=None, max_length=100)
    sunny: bool


def let_in(session, identity, permission, event_id):
    return GUEST


stalls = Blueprint("Stalls", gate=let_in, public=Permission.PUBLIC)
visitors = Blueprint("Visitors", gate=let_in, public=Permission.PUBLIC)


@stalls.post(
    "v1/events/{event_id}/stalls",
    permission=Permission.STALLS_WRITE,
    status=201,
    location="/api/v1/events/{event_id}/stalls/{id}",
    replay=lambda call, made: StallOut(id=made, name=""),
    refusals=(Full, TooMany, TooFewStalls),
)
def rent_stall(call: Call, body: StallCreate) -> StallOut:
    """Rent a stall; it is
    the last of the row. Rents are in cents.

    See the *guide*.
    """
    raise NotImplementedError


@stalls.get("v1/events/{event_id}/stalls", permission=Permission.STALLS_WRITE)
def list_stalls(call: Call, query: StallsQuery) -> Page[StallOut]:
    """The stalls of the fair."""
    raise NotImplementedError


@stalls.patch("v1/events/{event_id}/stalls/{stall_id}", permission=Permission.STALLS_WRITE, refusals=(NotFound,))
def edit_stall(call: Call, stall_id: UUID, body: StallCreate) -> StallOut:
    """Change a stall."""
    raise NotImplementedError


@stalls.delete("v1/events/{event_id}/stalls/{stall_id}", permission=Permission.STALLS_WRITE)
def give_stall_up(call: Call, stall_id: UUID) -> None:
    """Give a stall up."""


@stalls.put("v1/events/{event_id}/stalls/{stall_id}/sign", permission=Permission.STALLS_WRITE, status=202)
def paint_sign(call: Call, stall_id: UUID, sign: UploadedFile) -> StallOut:
    """Paint the sign."""
    raise NotImplementedError


@visitors.get("v1/fairs/{slug}", permission=Permission.PUBLIC, refusals=(Closed,))
def show_fair(call: Call, slug: str) -> StallOut:
    """A fair by its slug."""
    raise NotImplementedError


@visitors.get("v1/map", permission=Permission.PUBLIC)
def show_map(call: Call) -> Content:
    """The map."""
    raise NotImplementedError


@visitors.get("v1/gauge", permission=Permission.PUBLIC, takes_tokens=False)
def read_gauge(call: Call) -> Content:
    """How full it is."""
    raise NotImplementedError


@visitors.get("v1/ticket", permission=Permission.PUBLIC)
def buy_ticket(call: Call) -> Redirect:
    """Where tickets are sold."""
    raise NotImplementedError


@visitors.post("v1/map/fold", permission=Permission.PUBLIC, refusals=(StaleVersion,))
def fold_map(call: Call) -> None:
    return None


def made() -> dict[str, Any]:
    return document(
        [*stalls.routes, *visitors.routes],
        title="Fair",
        version="1.2.3",
        server_url="https://fair.example",
        description="A fair for all.",
    )


@pytest.fixture(scope="module")
def doc():
    return made()


def operation(doc: Any, name: str) -> Any:
    return next(op for path in doc["paths"].values() for op in path.values() if op["operationId"] == name)


def parameter_names(doc: Any, name: str) -> list[str]:
    found = operation(doc, name).get("parameters", [])
    return [p["name"] if "name" in p else p["$ref"].removeprefix("#/components/parameters/") for p in found]


def answer(doc: Any, name: str, status: int) -> Any:
    found = operation(doc, name)["responses"][str(status)]
    return doc["components"]["responses"][found["$ref"].rpartition("/")[2]] if "$ref" in found else found


def codes(doc: Any, name: str, status: int) -> Any:
    schema = answer(doc, name, status)["content"]["application/problem+json"]["schema"]
    assert schema["allOf"][0] == {"$ref": "#/components/schemas/Problem"}
    return schema["allOf"][1]["properties"]["code"]["enum"]


def test_the_document_is_valid_openapi_31_with_valid_schemas(doc):
    jsonschema_rs.Draft202012Validator(OPENAPI_31).validate(doc)
    for schema in doc["components"]["schemas"].values():
        jsonschema_rs.meta.validate(schema)


def test_the_same_routes_make_the_same_bytes(doc):
    assert json.dumps(made()) == json.dumps(doc)


def test_every_reference_leads_somewhere(doc):
    def references(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            if "$ref" in value:
                yield value["$ref"]
            for inner in value.values():
                yield from references(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from references(inner)

    found = set(references(doc))
    assert "#/components/schemas/StallOut" in found
    for reference in found:
        at = doc
        for part in reference.removeprefix("#/").split("/"):
            at = at[part]


def test_it_says_what_it_describes_and_where(doc):
    assert doc["openapi"] == "3.1.0"
    assert doc["info"] == {"title": "Fair", "version": "1.2.3", "description": "A fair for all."}
    assert doc["servers"] == [{"url": "https://fair.example"}]
    assert doc["tags"] == [{"name": "Stalls"}, {"name": "Visitors"}]
    assert list(doc["paths"]) == sorted(doc["paths"])
    assert list(doc["paths"]["/api/v1/events/{event_id}/stalls"]) == ["get", "post"]


def test_the_first_sentence_is_the_summary_and_the_rest_the_description(doc):
    rent = operation(doc, "rent_stall")
    assert rent["summary"] == "Rent a stall; it is the last of the row"
    assert rent["description"] == "Rents are in cents.\n\nSee the *guide*."
    assert "description" not in operation(doc, "list_stalls")
    assert operation(doc, "fold_map")["summary"] == "Fold map"


def test_a_permission_and_a_bearer_token_are_asked_for_where_it_is_not_public(doc):
    rent, show = operation(doc, "rent_stall"), operation(doc, "show_fair")
    assert (rent["x-permission"], rent["security"]) == ("stalls:write", [{"bearer": []}])
    assert (show["x-permission"], show["security"]) == ("public", [{}, {"bearer": []}])
    assert operation(doc, "read_gauge")["security"] == [{}]
    assert doc["components"]["securitySchemes"]["bearer"]["bearerFormat"] == "JWT"


def test_path_parameters_are_ids_or_text(doc):
    ids = operation(doc, "give_stall_up")["parameters"][:2]
    uuid = {"type": "string", "format": "uuid"}
    assert ids == [{"name": name, "in": "path", "required": True, "schema": uuid} for name in ("event_id", "stall_id")]
    slug = {"name": "slug", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
    assert operation(doc, "show_fair")["parameters"][0] == slug


def test_query_parameters_come_from_the_model_and_are_never_null(doc):
    parameters = [p for p in operation(doc, "list_stalls")["parameters"] if p.get("in") == "query"]
    assert parameters == [
        {
            "name": "page",
            "in": "query",
            "description": "Counted from 1.",
            "schema": {"type": "integer", "minimum": 1, "default": 1},
        },
        {"name": "name", "in": "query", "schema": {"type": "string", "maxLength": 100}},
        {"name": "sunny", "in": "query", "required": True, "schema": {"type": "boolean"}},
    ]
    assert "StallsQuery" not in doc["components"]["schemas"]


def test_header_parameters_follow_from_what_the_route_does(doc):
    assert parameter_names(doc, "rent_stall") == ["event_id", "IdempotencyKey"]
    assert parameter_names(doc, "list_stalls") == ["event_id", "page", "name", "sunny", "IfNoneMatch"]
    assert parameter_names(doc, "edit_stall") == ["event_id", "stall_id", "IfMatch"]
    assert parameter_names(doc, "fold_map") == ["IfMatch"]
    assert parameter_names(doc, "show_map") == []
    assert doc["components"]["parameters"]["IdempotencyKey"]["required"] is True


def test_a_json_body_refers_to_its_strict_schema(doc):
    body = operation(doc, "rent_stall")["requestBody"]
    assert body == {
        "description": "At most 1,000,000 bytes.",
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/StallCreate"}}},
    }
    schema = doc["components"]["schemas"]["StallCreate"]
    assert schema["additionalProperties"] is False
    assert schema["required"] == ["name", "rent_cents"]
    assert schema["description"] == "What a trader says of a stall."
    assert schema["properties"]["tables"] == {"type": "integer", "minimum": 1, "maximum": 10, "default": 1}
    assert "title" not in schema


def test_a_file_is_a_required_binary_field_of_a_form(doc):
    assert operation(doc, "paint_sign")["requestBody"]["content"] == {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "properties": {"sign": {"type": "string", "format": "binary"}},
                "required": ["sign"],
            }
        }
    }


def test_a_page_of_things_has_a_name_for_people(doc):
    schema = answer(doc, "list_stalls", 200)["content"]["application/json"]["schema"]
    assert schema == {"$ref": "#/components/schemas/PageOfStallOut"}


def test_every_field_of_an_answer_is_always_there(doc):
    assert doc["components"]["schemas"]["StallOut"]["required"] == ["id", "name", "neighbour"]
    assert doc["components"]["schemas"]["Problem"]["required"] == ["type", "title", "status", "detail", "code"]


@pytest.mark.parametrize(
    ("name", "status", "headers"),
    [
        ("rent_stall", 201, ["ETag", "Idempotent-Replayed", "Location", "X-Request-Id"]),
        ("list_stalls", 200, ["ETag", "X-Request-Id"]),
        ("list_stalls", 304, ["ETag", "X-Request-Id"]),
        ("edit_stall", 200, ["ETag", "X-Request-Id"]),
        ("give_stall_up", 204, ["X-Request-Id"]),
        ("paint_sign", 202, ["ETag", "X-Request-Id"]),
        ("show_map", 200, ["Content-Disposition", "X-Request-Id"]),
        ("buy_ticket", 302, ["Location", "X-Request-Id"]),
        ("rent_stall", 401, ["WWW-Authenticate", "X-Request-Id"]),
        ("rent_stall", 429, ["RateLimit", "RateLimit-Policy", "Retry-After", "X-Request-Id"]),
        ("rent_stall", 503, ["Retry-After", "X-Request-Id"]),
    ],
)
def test_answers_name_their_headers(doc, name, status, headers):
    assert list(answer(doc, name, status)["headers"]) == headers


def test_answers_without_a_model_say_what_they_are(doc):
    assert "content" not in answer(doc, "give_stall_up", 204)
    assert "content" not in answer(doc, "buy_ticket", 302)
    assert answer(doc, "show_map", 200)["content"] == {"*/*": {}}


@pytest.mark.parametrize(
    ("name", "statuses"),
    [
        ("rent_stall", [201, 400, 401, 403, 404, 409, 413, 415, 422, 429, 500, 503]),
        ("list_stalls", [200, 304, 401, 403, 404, 422, 429, 500, 503]),
        ("edit_stall", [200, 400, 401, 403, 404, 412, 413, 415, 422, 429, 500, 503]),
        ("give_stall_up", [204, 401, 403, 404, 412, 429, 500, 503]),
        ("paint_sign", [202, 400, 401, 403, 404, 412, 413, 415, 422, 429, 500, 503]),
        ("show_fair", [200, 304, 401, 404, 410, 429, 500, 503]),
        ("show_map", [200, 401, 429, 500, 503]),
        ("read_gauge", [200, 500, 503]),
        ("buy_ticket", [302, 401, 429, 500, 503]),
        ("fold_map", [204, 401, 412, 429, 500, 503]),
    ],
)
def test_an_operation_lists_the_answers_it_can_give_and_no_others(doc, name, statuses):
    assert [int(status) for status in operation(doc, name)["responses"]] == statuses


@pytest.mark.parametrize(
    ("name", "status", "expected"),
    [
        ("rent_stall", 400, ["malformed_json", "idempotency_key_required"]),
        ("rent_stall", 401, ["unauthenticated", "invalid_token"]),
        ("rent_stall", 409, ["full"]),
        ("rent_stall", 422, ["invalid_input", "idempotency_key_reused", "too_few_stalls"]),
        ("rent_stall", 503, ["busy", "dependency_down"]),
        ("edit_stall", 404, ["not_found"]),
        ("edit_stall", 503, ["busy", "dependency_down", "outcome_unknown"]),
        ("paint_sign", 400, ["malformed_request"]),
        ("list_stalls", 503, ["busy", "dependency_down"]),
        ("show_fair", 410, ["closed"]),
    ],
)
def test_a_refusal_has_one_of_the_codes_that_can_occur(doc, name, status, expected):
    assert codes(doc, name, status) == expected


def test_a_refusal_is_described_by_its_codes_and_their_titles(doc):
    assert answer(doc, "rent_stall", 409)["description"] == "Conflict\n\n- `full`: No stall is left"


def test_what_the_gate_refuses_is_said_where_there_is_a_gate():
    class NoSuchFair(NotFound):
        """There is no such fair."""

        code = "fair_not_found"

    class NotYours(Forbidden):
        """The fair is not yours."""

        code = "not_yours"

    routes = [*stalls.routes, *visitors.routes]
    doc = document(routes, title="", version="", server_url="", description="", gate_refusals=(NoSuchFair, NotYours))
    assert codes(doc, "rent_stall", 403) == ["not_yours"]
    assert codes(doc, "rent_stall", 404) == ["not_found", "fair_not_found"]
    assert codes(doc, "show_fair", 404) == ["not_found"]
    assert "403" not in operation(doc, "show_fair")["responses"]


def test_what_only_the_edge_refuses_is_said_once(doc):
    shared = {"$ref": "#/components/responses/UnauthenticatedOrInvalidToken"}
    operations = [op for path in doc["paths"].values() for op in path.values()]
    assert [op["responses"]["401"] for op in operations if "401" in op["responses"]] == [shared] * 9


def test_two_schemas_of_one_name_are_refused():
    def clash() -> type[BaseModel]:
        class Opening(BaseModel):
            pass

        Opening.__module__ = "elsewhere"
        return Opening

    other = clash()
    twins = Blueprint("Twins", gate=let_in, public=Permission.PUBLIC)

    def handler(call, body):
        return None

    handler.__annotations__ = {"call": Call, "body": other}
    twins.post("v1/twins", permission=Permission.PUBLIC)(handler)
    with pytest.raises(ValueError, match="Two schemas share a name"):
        document([*stalls.routes, *twins.routes], title="", version="", server_url="", description="")
