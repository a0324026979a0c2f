"""The OpenAPI document as one page for people: it has no script, loads nothing, and escapes every text."""

import json
import re
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

type Json = dict[str, Any]

# All that the page needs from a Content-Security-Policy.
CONTENT_SECURITY_POLICY = "default-src 'none'; style-src 'unsafe-inline'"

_STYLE = Path(__file__).with_suffix(".css")
_EXAMPLES = {
    "binary": "…",
    "date": "2026-06-01",
    "date-time": "2026-06-01T19:30:00Z",
    "email": "ada@example.com",
    "uri": "https://example.com/",
    "uuid": "01970f3c-5b2a-7c4e-9d61-3f8a0b7c2e15",
}
_DEEPEST = 6


class Html(str):
    """Text that is markup already; any other text is escaped when it is put into a tag."""

    __slots__ = ()


def _html(*content: Any) -> Html:
    return Html("".join(item if isinstance(item, Html) else escape(str(item)) for item in content))


def _tag(name: str, *content: Any, **attributes: str) -> Html:
    said = "".join(f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"' for key, value in attributes.items())
    return Html(f"<{name}{said}>{_html(*content)}</{name}>")


def page(document: Json) -> str:
    """Return the reference of `document` as one HTML page; it works under `CONTENT_SECURITY_POLICY`."""
    info = document["info"]
    head = _html(
        Html('<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'),
        Html('<meta name="color-scheme" content="light dark">'),
        _tag("title", f"{info['title']} API {info['version']}"),
        _tag("style", Html(_STYLE.read_text())),
    )
    by_tag = _operations(document)
    body = _html(
        _tag("a", "Skip to the reference", class_="skip", href="#content"),
        _navigation(document, by_tag),
        _tag(
            "main",
            _introduction(document),
            *(_group(document, tag, operations) for tag, operations in by_tag.items()),
            _schemas(document),
            id="content",
        ),
    )
    return f"<!doctype html>\n{_tag('html', _tag('head', head), _tag('body', body), lang='en')}\n"


def _operations(document: Json) -> dict[str, list[tuple[str, str, Json]]]:
    """Return (method, path, operation) by tag, in the document's order."""
    found: dict[str, list[tuple[str, str, Json]]] = {tag["name"]: [] for tag in document["tags"]}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            found[operation["tags"][0]].append((method, path, operation))
    return found


def _navigation(document: Json, by_tag: dict[str, list[tuple[str, str, Json]]]) -> Html:
    groups = (
        _html(
            _tag("h2", _tag("a", tag, href=f"#{_tag_id(tag)}")),
            _tag("ul", *(_navigation_item(method, operation) for method, _, operation in operations)),
        )
        for tag, operations in by_tag.items()
    )
    schemas = _tag("h2", _tag("a", "Schemas", href="#schemas"))
    contents = _tag("details", _tag("summary", "Contents"), *groups, schemas)
    brand = _tag("p", _tag("a", document["info"]["title"], href="#content"), " ", _tag("small", "API"), class_="brand")
    return _tag("nav", brand, contents, aria_label="Operations")


def _navigation_item(method: str, operation: Json) -> Html:
    link = _tag("a", _badge(method), _tag("span", operation["summary"]), href=f"#{operation['operationId']}")
    return _tag("li", link)


def _introduction(document: Json) -> Html:
    info = document["info"]
    servers = (_tag("code", server["url"]) for server in document["servers"])
    return _tag(
        "header",
        _tag("h1", info["title"], " ", _tag("small", info["version"])),
        _prose(info["description"]),
        _tag("p", "Server: ", *servers),
    )


def _group(document: Json, tag: str, operations: list[tuple[str, str, Json]]) -> Html:
    sections = (_operation(document, method, path, operation) for method, path, operation in operations)
    return _tag("section", _tag("h2", tag), *sections, id=_tag_id(tag), class_="group")


def _operation(document: Json, method: str, path: str, operation: Json) -> Html:
    name = operation["operationId"]
    parameters = [_resolve(document, parameter) for parameter in operation.get("parameters", ())]
    told = _html(
        _prose(operation.get("description", "")),
        _admission(operation),
        _parameters(document, parameters),
        _body(document, operation),
        _answers(document, operation),
        _then(document, operation),
    )
    shown = _html(
        _tag("h4", "Example"),
        _code(_curl(document, method, path, operation, parameters), "Example request"),
        _example_answer(document, operation),
    )
    return _tag(
        "article",
        _tag("h3", _tag("a", operation["summary"], href=f"#{name}")),
        _tag("p", _badge(method), " ", _tag("code", _breakable(path)), class_="address"),
        _tag("div", _tag("div", told), _tag("div", shown, class_="examples"), class_="columns"),
        id=name,
    )


def _admission(operation: Json) -> Html:
    if {} in operation["security"]:
        return _tag("p", _tag("strong", "Public"), ": no sign-in is needed.", class_="admission")
    return _tag(
        "p",
        "Needs a bearer token and the permission ",
        _tag("code", operation["x-permission"]),
        ".",
        class_="admission",
    )


def _parameters(document: Json, parameters: list[Json]) -> Html:
    rows = (
        _tag(
            "tr",
            _tag("th", _tag("code", parameter["name"]), *_required(parameter.get("required", False)), scope="row"),
            _tag("td", parameter["in"]),
            _tag("td", _type(document, parameter["schema"]), _bounds(document, parameter["schema"])),
            _tag("td", _inline(parameter.get("description", ""))),
        )
        for parameter in parameters
    )
    return _table("Parameters", ("Name", "In", "Type", "Description"), list(rows))


def _body(document: Json, operation: Json) -> Html:
    if "requestBody" not in operation:
        return Html()
    body = operation["requestBody"]
    ((media_type, content),) = body["content"].items()
    return _html(
        _tag("h4", "Body ", _tag("small", media_type)),
        _prose(body.get("description", "")),
        _fields(document, content["schema"]),
    )


def _answers(document: Json, operation: Json) -> Html:
    rows = []
    for status, reference in operation["responses"].items():
        answer = _resolve(document, reference)
        media = (
            _html(_type(document, content["schema"]) if "schema" in content else media_type, " ")
            for media_type, content in answer.get("content", {}).items()
            if media_type != "application/problem+json"
        )
        headers = ", ".join(name for name in answer.get("headers", {}) if name != "X-Request-Id")
        rows.append(
            _tag(
                "tr",
                _tag("th", _tag("span", status, class_=f"status s{status[0]}"), scope="row"),
                _tag("td", _prose(answer["description"])),
                _tag("td", *media, _tag("small", headers)),
            )
        )
    return _table("Answers", ("Status", "Meaning and codes", "Body and headers"), rows)


def _then(document: Json, operation: Json) -> Html:
    """Return links to the operations that the answers' own links lead to."""
    summaries = {
        told["operationId"]: told["summary"] for methods in document["paths"].values() for told in methods.values()
    }
    names = dict.fromkeys(
        link["operationId"]
        for answer in operation["responses"].values()
        for link in _resolve(document, answer).get("links", {}).values()
    )
    links = [_tag("a", summaries[name], href=f"#{name}") for name in names]
    return _tag("p", _tag("strong", "Then"), ": ", *_joined(links, " · ")) if links else Html()


def _table(title: str, columns: tuple[str, ...], rows: list[Html]) -> Html:
    if not rows:
        return Html()
    head = _tag("thead", _tag("tr", *(_tag("th", column, scope="col") for column in columns)))
    return _html(_tag("h4", title), _tag("table", head, _tag("tbody", *rows)))


def _schemas(document: Json) -> Html:
    shown = (
        _tag(
            "article",
            _tag("h3", _tag("a", name, href=f"#schema-{name}")),
            _prose(schema.get("description", "")),
            _fields(document, schema, deepest=0) or _tag("p", _type(document, schema), _bounds(document, schema)),
            id=f"schema-{name}",
        )
        for name, schema in document["components"]["schemas"].items()
    )
    return _tag("section", _tag("h2", "Schemas"), *shown, id="schemas", class_="group schemas")


def _fields(document: Json, schema: Json, *, deepest: int = _DEEPEST, within: tuple[str, ...] = ()) -> Html:
    """Return an object's fields as a list, with the fields of inner objects below them; a cycle ends in a link."""
    schema, within = _object_in(document, schema, within)
    required = schema.get("required", ())
    items = []
    for name, declared in schema.get("properties", {}).items():
        inner = _fields(document, declared, deepest=deepest - 1, within=within) if deepest > 0 else Html()
        items.append(
            _tag(
                "li",
                _tag("code", name),
                " ",
                _type(document, declared),
                *_required(name in required),
                _bounds(document, declared),
                _prose(declared.get("description", "")),
                inner,
            )
        )
    return _tag("ul", *items, class_="fields") if items else Html()


def _object_in(document: Json, schema: Json, within: tuple[str, ...]) -> tuple[Json, tuple[str, ...]]:
    """Return the object that `schema` is, may be, or is a list of; None if the page is showing that object already."""
    while True:
        if "$ref" in schema:
            if schema["$ref"] in within:
                return {}, within
            schema, within = _resolve(document, schema), (*within, schema["$ref"])
        elif schema.get("type") == "array":
            schema = schema.get("items", {})
        elif choices := [choice for choice in schema.get("anyOf", ()) if choice.get("type") != "null"]:
            schema = choices[0]
        else:
            return schema, within


def _resolve(document: Json, schema: Json) -> Json:
    """Return the schema that `$ref` points at, merged with the entries beside `$ref`."""
    if "$ref" not in schema:
        return schema
    found: Any = document
    for part in schema["$ref"].removeprefix("#/").split("/"):
        found = found[part]
    return {**found, **{key: value for key, value in schema.items() if key != "$ref"}}


def _type(document: Json, schema: Json) -> Html:
    found = _resolve(document, schema)
    match found:
        case {"anyOf": choices} | {"oneOf": choices}:
            text = _html(*_joined([_type(document, choice) for choice in choices], " or "))
        case {"allOf": [first, *_]}:
            return _type(document, first)
        case {"enum": values}:
            text = _html("one of ", *_joined([_tag("code", json.dumps(value)) for value in values], ", "))
        case {"const": value}:
            text = _tag("code", json.dumps(value))
        case {"type": "array"}:
            text = _html("list of ", _type(document, found.get("items", {})))
        case {"properties": _} if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            text = _tag("a", name, href=f"#schema-{name}")
        case {"type": "object", "additionalProperties": dict(values)}:
            text = _html("map of ", _type(document, values))
        case _:
            text = _html(found.get("format") or found.get("type", "any"))
    return _tag("span", text, class_="type")


def _bounds(document: Json, schema: Json) -> Html:
    """Return the limits on a value, in words."""
    said: list[Any] = []
    for choice in [schema, *schema.get("anyOf", ())]:
        found = _resolve(document, choice)
        for low, high, unit in (
            ("minimum", "maximum", ""),
            ("minLength", "maxLength", " characters"),
            ("minItems", "maxItems", " items"),
        ):
            said += _range(found.get(low), found.get(high), unit)
        if "exclusiveMinimum" in found:
            said.append(f"more than {found['exclusiveMinimum']:,}")
        if "exclusiveMaximum" in found:
            said.append(f"less than {found['exclusiveMaximum']:,}")
        if "pattern" in found:
            said.append(_html("matches ", _tag("code", _breakable(found["pattern"]))))
    if schema.get("default") is not None:
        said.append(_html("default ", _tag("code", json.dumps(schema["default"], ensure_ascii=False))))
    return _tag("span", *_joined(said, "; "), class_="bounds") if said else Html()


def _range(low: float | None, high: float | None, unit: str) -> Iterator[str]:
    if low is not None and high is not None:
        yield f"{low:,}{unit}" if low == high else f"{low:,} to {high:,}{unit}"
    elif high is not None:
        yield f"at most {high:,}{unit}"
    elif low is not None and (low or not unit):
        yield f"at least {low:,}{unit}"


def _example(document: Json, schema: Json, *, name: str = "text", within: tuple[str, ...] = ()) -> Any:
    """Return a JSON value that the schema describes; an object inside an object of its own kind is left out."""
    if schema.get("$ref") in within:
        return None
    within = (*within, schema["$ref"]) if "$ref" in schema else within
    found = _resolve(document, schema)
    value: Any = None
    match found:
        case {"examples": [value, *_]} | {"const": value} | {"enum": [value, *_]}:
            pass
        case {"default": value} if value not in (None, [], {}):
            pass
        case {"anyOf": [choice, *_]} | {"oneOf": [choice, *_]} | {"allOf": [choice, *_]}:
            value = _example(document, choice, name=name, within=within)
        case {"type": "object"}:
            fields = found.get("properties", {})
            value = {field: _example(document, inner, name=field, within=within) for field, inner in fields.items()}
        case {"type": "array"}:
            item = _example(document, found.get("items", {}), name=name, within=within)
            value = [] if item is None else [item]
        case {"type": "boolean"}:
            value = True
        case {"type": "integer" | "number"}:
            value = max(found.get("minimum", 1), min(1, found.get("maximum", 1)))
        case {"type": "string"}:
            text = _EXAMPLES.get(found.get("format", ""), name.replace("_", " ").capitalize())
            value = text[: found.get("maxLength")]
    return value


def _example_answer(document: Json, operation: Json) -> Html:
    for status, reference in operation["responses"].items():
        content = _resolve(document, reference).get("content", {}).get("application/json")
        if content:
            text = json.dumps(_example(document, content["schema"]), indent=2, ensure_ascii=False)
            return _tag("details", _tag("summary", f"Example answer ({status})"), _code(text, "Example answer"))
    return Html()


def _curl(document: Json, method: str, path: str, operation: Json, parameters: list[Json]) -> str:
    url = document["servers"][0]["url"] + re.sub(r"{(\w+)}", lambda found: f"${found[1].upper()}", path)
    asked = [
        f"{parameter['name']}={json.dumps(_example(document, parameter['schema'])).strip('"')}"
        for parameter in parameters
        if parameter["in"] == "query" and parameter.get("required")
    ]
    lines = [f'curl "{url}{"?" if asked else ""}{"&".join(asked)}"']
    if method != "get":
        lines[0] = lines[0].replace("curl", f"curl -X {method.upper()}", 1)
    if {} not in operation["security"]:
        lines.append('-H "Authorization: Bearer $TOKEN"')
    if any(parameter["name"] == "Idempotency-Key" for parameter in parameters):
        lines.append('-H "Idempotency-Key: $(uuidgen)"')
    for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
        if media_type == "multipart/form-data":
            lines += [f"-F '{field}=@{field}.png'" for field in content["schema"]["properties"]]
        else:
            body = json.dumps(_example(document, content["schema"]), indent=2, ensure_ascii=False)
            lines += [f"-H 'Content-Type: {media_type}'", f"-d '{body.replace("'", "'\\''")}'"]
    return " \\\n  ".join(lines)


def _prose(text: str) -> Html:
    """Return paragraphs and lists, made from the few kinds of Markdown that descriptions use."""
    blocks = []
    for block in filter(None, re.split(r"\n\s*\n", text.strip())):
        lines = block.splitlines()
        if all(line.startswith("- ") for line in lines):
            blocks.append(_tag("ul", *(_tag("li", _inline(line[2:])) for line in lines)))
        else:
            blocks.append(_tag("p", _inline(block)))
    return _html(*blocks)


def _inline(text: str) -> Html:
    return _html(*(_tag("code", part) if odd % 2 else part for odd, part in enumerate(text.split("`"))))


def _breakable(text: str) -> Html:
    """Return `text` with places at which a narrow screen may break the line."""
    return Html(escape(text).replace("/", "/<wbr>"))


def _badge(method: str) -> Html:
    return _tag("span", method.upper(), class_=f"method {method}")


def _required(required: bool) -> list[Html]:  # noqa: FBT001 - one value, which the function tests
    return [_html(" ", _tag("span", "required", class_="required"))] if required else []


def _code(text: str, label: str) -> Html:
    # A region that scrolls must be reachable with the keyboard.
    return _tag("pre", _tag("code", text), tabindex="0", role="region", aria_label=label)


def _joined(items: list[Any], separator: str) -> Iterator[Any]:
    for index, item in enumerate(items):
        yield from ((separator, item) if index else (item,))


def _tag_id(tag: str) -> str:
    return f"tag-{re.sub(r'[^a-z0-9]+', '-', tag.lower()).strip('-')}"
