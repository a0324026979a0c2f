from html.parser import HTMLParser
from typing import Any

import pytest

from shared.kit.http.reference import CONTENT_SECURITY_POLICY, page

EVIL = "<script>alert(\"1\" & '2')</script>"

STALL: dict[str, Any] = {
    "type": "object",
    "description": f"A stall {EVIL}",
    "properties": {
        "name": {"$ref": "#/components/schemas/Name", "description": "Painted on the sign, with `paint`."},
        "rent_cents": {"type": "integer", "minimum": 5, "maximum": 100_000_000},
        "opens_at": {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}], "default": None},
        "days": {"type": "array", "maxItems": 7, "items": {"enum": ["saturday", "sunday"], "type": "string"}},
        "next": {"anyOf": [{"$ref": "#/components/schemas/Stall"}, {"type": "null"}]},
        "signs": {"type": "object", "additionalProperties": {"type": "integer"}},
        "is_covered": {"type": "boolean"},
        "place": {
            "type": "object",
            "properties": {"row": {"type": "string", "pattern": "^[A-Z]$", "examples": ["B"]}},
            "required": ["row"],
        },
    },
    "required": ["name", "rent_cents"],
}
RENT: dict[str, Any] = {
    "operationId": "rent_stall",
    "tags": ["Stalls & more"],
    "summary": f"Rent a stall {EVIL}",
    "description": f"Rents are in cents.\n\nSee {EVIL}",
    "security": [{"bearer": []}],
    "x-permission": "stalls:write",
    "parameters": [
        {"name": "event_id", "in": "path", "required": True, "schema": {"type": "string", "format": "uuid"}},
        {"name": "sunny", "in": "query", "required": True, "schema": {"type": "boolean"}},
        {"name": "page", "in": "query", "schema": {"type": "integer", "minimum": 1, "default": 1}},
        {"$ref": "#/components/parameters/IdempotencyKey"},
    ],
    "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Stall"}}}},
    "responses": {
        "201": {
            "description": "Created",
            "headers": {"ETag": {}, "X-Request-Id": {}},
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Stall"}}},
            "links": {"show_map": {"operationId": "show_map"}, "rent_stall": {"operationId": "rent_stall"}},
        },
        "409": {"$ref": "#/components/responses/Full"},
    },
}
MAP: dict[str, Any] = {
    "operationId": "show_map",
    "tags": ["Visitors"],
    "summary": "The map",
    "security": [{}, {"bearer": []}],
    "x-permission": "public",
    "responses": {"200": {"description": "OK", "content": {"*/*": {}}}},
}
DOCUMENT: dict[str, Any] = {
    "info": {"title": "Fair & square", "version": "1.2.3", "description": "A fair for all."},
    "servers": [{"url": "https://fair.example"}],
    "tags": [{"name": "Stalls & more"}, {"name": "Visitors"}],
    "paths": {"/api/v1/events/{event_id}/stalls": {"post": RENT}, "/api/v1/map": {"get": MAP}},
    "components": {
        "schemas": {"Name": {"type": "string", "minLength": 1, "maxLength": 100}, "Stall": STALL},
        "parameters": {
            "IdempotencyKey": {
                "name": "Idempotency-Key",
                "in": "header",
                "required": True,
                "schema": {"type": "string"},
            }
        },
        "responses": {
            "Full": {
                "description": "Conflict\n\n- `full`: No stall is left",
                "content": {"application/problem+json": {"schema": {}}},
            }
        },
    },
}


class Reader(HTMLParser):
    """Reads the page as a browser would: elements, ids, links, and text by the article it is in."""

    VOID = ("meta", "wbr")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self.open: list[tuple[str, str]] = []
        self.text: dict[str, str] = {}
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.tags.append(tag)
        self.ids += [given["id"]] if "id" in given else []
        self.links += [given["href"]] if "href" in given else []
        if tag not in self.VOID:
            self.open.append((tag, given.get("id") or ""))

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        for _, name in self.open:
            if name:
                self.text[name] = self.text.get(name, "") + data


@pytest.fixture(scope="module")
def html():
    return page(DOCUMENT)


@pytest.fixture(scope="module")
def read(html):
    return Reader(html)


def test_every_text_of_the_document_is_escaped(html, read):
    assert "<script" not in html
    assert "script" not in read.tags
    assert f"Rent a stall {EVIL}" in read.text["rent_stall"]
    assert f"See {EVIL}" in read.text["rent_stall"]
    assert f"A stall {EVIL}" in read.text["schema-Stall"]


@pytest.mark.parametrize("place", ["path", "tag", "code", "permission", "field", "enum", "url"])
def test_nothing_breaks_out_of_an_attribute_or_an_element(place):
    evil = "\"><img src=x onerror='1'>"
    operation = {
        "operationId": "look",
        "tags": [evil if place == "tag" else "Visitors"],
        "summary": "Look",
        "security": [{"bearer": []}],
        "x-permission": evil if place == "permission" else "look",
        "requestBody": {
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "properties": {evil if place == "field" else "field": {"enum": [evil]}},
                    }
                }
            }
        },
        "responses": {"409": {"description": f"Conflict\n\n- `{evil}`: x" if place == "code" else "Conflict"}},
    }
    read = Reader(
        page(
            {
                **DOCUMENT,
                "servers": [{"url": evil if place == "url" else "https://fair.example"}],
                "tags": [{"name": evil if place == "tag" else "Visitors"}],
                "paths": {f"/{evil}" if place == "path" else "/look": {"get": operation}},
            }
        )
    )
    assert "img" not in read.tags
    assert read.open == []
    assert evil in read.text["content"]


def test_elements_are_closed_in_order_and_ids_are_unique(read):
    assert read.open == []
    assert len(read.ids) == len(set(read.ids))


def test_every_link_stays_on_the_page_and_leads_somewhere(read):
    assert {"#rent_stall", "#show_map", "#tag-stalls-more", "#schema-Stall", "#content"} <= set(read.links)
    assert {link.removeprefix("#") for link in read.links} <= set(read.ids)


def test_the_page_loads_nothing_and_runs_nothing(html, read):
    assert CONTENT_SECURITY_POLICY == "default-src 'none'; style-src 'unsafe-inline'"
    assert not {"script", "link", "img", "iframe", "object", "form"} & set(read.tags)
    assert "url(" not in html
    assert "@import" not in html
    assert " style=" not in html


def test_it_has_landmarks_a_language_a_title_and_one_first_heading(html, read):
    assert html.startswith('<!doctype html>\n<html lang="en">')
    assert "<title>Fair &amp; square API 1.2.3</title>" in html
    assert [read.tags.count(tag) for tag in ("nav", "main", "h1")] == [1, 1, 1]


def test_an_operation_shows_its_address_its_permission_and_its_parameters(read):
    text = read.text["rent_stall"]
    assert "POST /api/v1/events/{event_id}/stalls" in text
    assert "Needs a bearer token and the permission stalls:write." in text
    assert "event_id requiredpathuuid" in text
    assert "pagequeryintegerat least 1; default 1" in text
    assert "Idempotency-Key requiredheaderstring" in text
    assert "Public: no sign-in is needed." in read.text["show_map"]


def test_a_body_shows_its_fields_with_types_bounds_and_descriptions(read):
    text = read.text["rent_stall"]
    assert "name string required1 to 100 charactersPainted on the sign, with paint." in text
    assert "rent_cents integer required5 to 100,000,000" in text
    assert "opens_at date-time or null" in text
    assert 'days list of one of "saturday", "sunday"at most 7 items' in text
    assert "signs map of integer" in text
    assert "row string requiredmatches ^[A-Z]$" in text


def test_a_schema_within_itself_ends_in_a_link(read):
    assert read.text["rent_stall"].count("next Stall or null") == 1
    assert read.text["schema-Stall"].count("next Stall or null") == 1


def test_answers_show_their_codes_bodies_and_headers(read):
    text = read.text["rent_stall"]
    assert "201CreatedStall ETag" in text
    assert "409Conflictfull: No stall is left" in text
    assert "200OK*/*" in read.text["show_map"]


def test_an_operation_says_where_its_answers_lead(html, read):
    assert f"Then: The map · Rent a stall {EVIL}" in read.text["rent_stall"]
    assert '<a href="#show_map">The map</a>' in html
    assert "Then" not in read.text["show_map"]


def test_the_example_can_be_pasted_into_a_shell(read):
    assert read.text["rent_stall"].count("curl") == 1
    assert """curl -X POST "https://fair.example/api/v1/events/$EVENT_ID/stalls?sunny=true" \\
  -H "Authorization: Bearer $TOKEN" \\
  -H "Idempotency-Key: $(uuidgen)" \\
  -H 'Content-Type: application/json' \\
  -d '{
  "name": "Name",
  "rent_cents": 5,
  "opens_at": "2026-06-01T19:30:00Z",
  "days": [
    "saturday"
  ],
  "next": null,
  "signs": {},
  "is_covered": true,
  "place": {
    "row": "B"
  }
}'""" in read.text["rent_stall"]
    assert 'curl "https://fair.example/api/v1/map"' in read.text["show_map"]


def test_an_apostrophe_does_not_end_the_shells_quotes():
    document = {
        **DOCUMENT,
        "components": {**DOCUMENT["components"], "schemas": {"Stall": {"type": "string", "examples": ["Ada's"]}}},
    }
    assert "-d '\"Ada'\\''s\"'" in Reader(page(document)).text["rent_stall"]


def test_a_file_is_sent_as_a_form():
    form = {"type": "object", "properties": {"sign": {"type": "string", "format": "binary"}}}
    operation = {**RENT, "requestBody": {"content": {"multipart/form-data": {"schema": form}}}}
    read = Reader(page({**DOCUMENT, "paths": {"/sign": {"put": operation}, "/map": {"get": MAP}}}))
    assert "-F 'sign=@sign.png'" in read.text["rent_stall"]
