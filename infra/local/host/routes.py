import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import unquote

from infra.local.host.constraints import Constraint, parse_constraint

_LITERAL, _MIXED, _CONSTRAINED, _PLAIN = range(4)


class Match(NamedTuple):
    """What a request leads to: a target with its route parameters, else the methods that the path allows, if any."""

    target: Any
    params: Mapping[str, str]
    allowed: frozenset[str]


_NOTHING: Mapping[str, str] = {}
_NOT_FOUND = Match(None, _NOTHING, frozenset())


class _Endpoint(NamedTuple):
    target: Any
    defaults: Mapping[str, str]
    omitted: int


class _Parameter(NamedTuple):
    name: str
    constraints: tuple[Constraint, ...]
    optional: bool
    default: str | None
    catch_all: bool


@dataclass(frozen=True)
class _Segment:
    """The part of a template between two slashes."""

    text: str
    rank: int
    parameters: tuple[_Parameter, ...] = ()
    pattern: re.Pattern[str] | None = None

    def capture(self, value: str) -> dict[str, str] | None:
        """Return the parameters that the value gives, or None when it does not fit."""
        if not value:
            return None
        if self.pattern is None:
            parameter = self.parameters[0]
            fits = all(check(value) for check in parameter.constraints)
            return {parameter.name: value} if fits else None
        match = self.pattern.fullmatch(value)
        if match is None:
            return None
        values = dict(zip((p.name for p in self.parameters), match.groups(), strict=True))
        fits = all(check(values[p.name]) for p in self.parameters for check in p.constraints)
        return values if fits else None


@dataclass
class _Node:
    literals: dict[str, "_Node"] = field(default_factory=dict)
    patterns: list[tuple[_Segment, "_Node"]] = field(default_factory=list)
    rest: list[tuple[_Parameter, dict[str, _Endpoint]]] = field(default_factory=list)
    methods: dict[str, _Endpoint] = field(default_factory=dict)

    def child(self, segment: _Segment) -> "_Node":
        if segment.rank == _LITERAL:
            return self.literals.setdefault(segment.text.lower(), _Node())
        for known, node in self.patterns:
            if known.text == segment.text:
                return node
        node = _Node()
        self.patterns.append((segment, node))
        self.patterns.sort(key=lambda pair: pair[0].rank)
        return node


class Router:
    """Finds the function for a method and a path, as ASP.NET routing would.

    The order of precedence is: literal segments, mixed ones (`{name}.{ext}`), constrained parameters, plain parameters,
    catch-alls. The case of literals is ignored, and so is a trailing slash.
    """

    def __init__(self) -> None:
        self._root = _Node()
        self._literal: dict[bytes, dict[str, _Endpoint]] = {}

    def add(self, template: str, methods: Iterable[str], target: Any) -> Any:
        """Register a target for the methods, or for every method when there are none.

        Returns the target that already has the same route and method, if any; it keeps the route.
        Raises ValueError when the template cannot be read.
        """
        segments = [_parse_segment(text) for text in _split(template)]
        names = tuple(method.upper() for method in methods) or ("*",)
        taken = None
        node, path = self._root, b""
        for position, segment in enumerate(segments):
            left_out = _omissible(segments[position:])
            if left_out is not None:
                taken = taken or _register(node.methods, names, _Endpoint(target, left_out, len(segments) - position))
            parameter = segment.parameters[0] if segment.parameters else None
            if parameter is not None and parameter.catch_all:
                methods_of_rest: dict[str, _Endpoint] = {}
                node.rest.append((parameter, methods_of_rest))
                return taken or _register(methods_of_rest, names, _Endpoint(target, _NOTHING, 0))
            node = node.child(segment)
            path += b"/" + segment.text.lower().encode()
        taken = taken or _register(node.methods, names, _Endpoint(target, _NOTHING, 0))
        if all(segment.rank == _LITERAL for segment in segments):
            self._literal[path] = node.methods
        return taken

    def find(self, method: str, raw_path: bytes) -> Match:
        """Return the match for a path as the client sent it (percent-encoded, without the query)."""
        methods = self._literal.get(raw_path)
        if methods is not None:
            endpoint = methods.get(method) or methods.get("*")
            if endpoint is not None:
                return Match(endpoint.target, endpoint.defaults, _NOT_FOUND.allowed)
        segments = split_path(raw_path)
        params: dict[str, str] = {}
        allowed: set[str] = set()
        endpoint = _walk(self._root, segments, 0, (method, params, allowed))
        if endpoint is None:
            return Match(None, _NOTHING, frozenset(allowed)) if allowed else _NOT_FOUND
        return Match(endpoint.target, {**endpoint.defaults, **params} if endpoint.defaults else params, frozenset())


def split_path(raw_path: bytes) -> list[str]:
    """Split a raw path into decoded segments; an encoded slash stays encoded, so it never separates.

    Dot segments are removed, encoded or not. Bytes that are not UTF-8 become U+FFFD.
    """
    text = raw_path.decode("latin-1").removeprefix("/").removesuffix("/")
    if not text:
        return []
    segments = text.split("/")
    if not text.isascii() or "%" in text:
        segments = [_decode(segment) for segment in segments]
    if "." in segments or ".." in segments:
        segments = _without_dots(segments)
    return segments


def _decode(segment: str) -> str:
    kept = segment.replace("%2F", "%252F").replace("%2f", "%252f") if "%2" in segment else segment
    if not kept.isascii():
        kept = kept.encode("latin-1").decode("utf-8", "replace")
    return unquote(kept)


def _without_dots(segments: list[str]) -> list[str]:
    kept: list[str] = []
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    return kept


def _walk(
    node: _Node, segments: list[str], position: int, search: tuple[str, dict[str, str], set[str]]
) -> _Endpoint | None:
    if position == len(segments):
        return _pick(node.methods, search) or _pick_rest(node, "", search)
    value = segments[position]
    child = node.literals.get(value.lower())
    if child is not None:
        endpoint = _walk(child, segments, position + 1, search)
        if endpoint is not None:
            return endpoint
    for segment, child in node.patterns:
        captured = segment.capture(value)
        if captured is not None:
            endpoint = _walk(child, segments, position + 1, search)
            if endpoint is not None:
                search[1].update(captured)
                return endpoint
    return _pick_rest(node, "/".join(segments[position:]), search) if node.rest else None


def _pick(methods: dict[str, _Endpoint], search: tuple[str, dict[str, str], set[str]]) -> _Endpoint | None:
    endpoint = methods.get(search[0]) or methods.get("*")
    if endpoint is None:
        search[2].update(methods)
    return endpoint


def _pick_rest(node: _Node, value: str, search: tuple[str, dict[str, str], set[str]]) -> _Endpoint | None:
    for parameter, methods in node.rest:
        if value and not all(check(value) for check in parameter.constraints):
            continue
        endpoint = _pick(methods, search)
        if endpoint is not None:
            if value:
                search[1][parameter.name] = value
            elif parameter.default is not None:
                search[1][parameter.name] = parameter.default
            return endpoint
    return None


def _register(methods: dict[str, _Endpoint], names: tuple[str, ...], endpoint: _Endpoint) -> Any:
    taken = None
    for name in names:
        other = methods.get(name)
        if other is None or other.omitted > endpoint.omitted:
            methods[name] = endpoint
        elif other.omitted == endpoint.omitted:
            taken = other.target
    return taken


def _omissible(segments: list[_Segment]) -> dict[str, str] | None:
    """Return the defaults for the case that all these segments are left out; None if one of them is required."""
    defaults: dict[str, str] = {}
    for segment in segments:
        if len(segment.parameters) != 1 or segment.pattern is not None:
            return None
        parameter = segment.parameters[0]
        if parameter.default is not None:
            defaults[parameter.name] = parameter.default
        elif not parameter.optional:
            return None
    return defaults


def _split(template: str) -> list[str]:
    """Split a template at the slashes outside braces."""
    parts, depth = [""], 0
    for character in template.strip("/"):
        depth += (character == "{") - (character == "}")
        if character == "/" and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    if depth != 0:
        raise ValueError(f"the braces of the route {template!r} do not match")
    return [part for part in parts if part]


def _parse_segment(text: str) -> _Segment:
    pieces = re.split(r"(\{(?:[^{}]|\{\{|\}\})*\})", text)
    parameters = tuple(_parse_parameter(piece[1:-1]) for piece in pieces[1::2])
    if not parameters:
        if "{" in text or "}" in text:
            raise ValueError(f"the braces of the route segment {text!r} do not match")
        return _Segment(text, _LITERAL)
    if len(pieces) == 3 and not pieces[0] and not pieces[2]:
        return _Segment(text, _CONSTRAINED if parameters[0].constraints else _PLAIN, parameters)
    if any(parameter.catch_all for parameter in parameters):
        raise ValueError(f"a catch-all parameter must stand alone: {text!r}")
    pattern = "".join("(.+)" if index % 2 else re.escape(piece) for index, piece in enumerate(pieces))
    return _Segment(text, _MIXED, parameters, re.compile(pattern, re.IGNORECASE | re.DOTALL))


def _parse_parameter(text: str) -> _Parameter:
    """Read the text between the braces: `*rest`, `id:int:min(1)`, `page=1`, `name?`."""
    catch_all = text.startswith("*")
    name, *rest = _split_colons(text.lstrip("*"))
    optional = (rest[-1] if rest else name).endswith("?")
    default: str | None = None
    tail = (rest[-1] if rest else name).removesuffix("?")
    if "=" in tail and not tail.startswith("regex("):
        tail, _, default = tail.partition("=")
    if rest:
        rest[-1] = tail
    else:
        name = tail
    if not name.isidentifier():
        raise ValueError(f"{name!r} is not the name of a route parameter")
    constraints: tuple[Callable[[str], bool], ...] = tuple(parse_constraint(part) for part in rest)
    return _Parameter(name, constraints, optional, default, catch_all)


def _split_colons(text: str) -> list[str]:
    """Split at the colons outside parentheses, so that a regular expression stays whole."""
    parts, depth = [""], 0
    for character in text:
        depth += (character == "(") - (character == ")")
        if character == ":" and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts
