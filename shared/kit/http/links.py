"""Where an answer leads: the links of the OpenAPI document (3.1 §4.8.20), worked out from the routes' own paths.

Two kinds of answers bring the id of something that other operations ask for:

- The answer of a route that makes something (201, 202). The new thing is at its `Location`, otherwise at `{id}` below
  the route's own path. The routes there have a name for that segment (for example `{order_id}`), and this is the name
  of the new id. Each operation that takes an id of this name is linked, in any branch of the API, if the request's path
  names all other ids that the operation takes. If no operation takes the id (for example a refund's or a note's), the
  answer leads back to the operations on the thing that it was made for.
- A list. It leads to its first item: to the operations at the item's own address, or to those right below if there are
  none.

An operation that reads a header of its own is linked only if the header's value is known: from an answer that brings it
(`header_fields`), or from a request that had it. An Idempotency-Key is never passed on: each request needs a new one.
"""

import re
from collections.abc import Iterator, KeysView, Mapping, Sequence
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from shared.kit.http.call import models_in
from shared.kit.http.endpoint import Route

PREFIX = "/api/"

type Links = dict[str, dict[str, Any]]

_MADE = (201, 202)


def links_of(route: Route, routes: Sequence[Route]) -> Links:
    """Return the link objects of the route's successful answer, by the name of the operation that each leads to."""
    given = _path_names(route)
    known = {name: f"$request.path.{name}" for name in given}
    if not route.writes:
        new = _items(route, routes)
        there = [target for target in _below(route.path + "/{id}", routes) if _takes(target, known | new, new)]
        nearest = min((_depth(target) for target in there), default=0)
        targets = [target for target in there if _depth(target) == nearest]
    elif route.status in _MADE and models_in(route.result):
        new = _made(route, routes)
        targets = [
            target
            for target in routes
            if (_takes(target, known | new, new) if new else target is not route and _path_names(target) == given)
        ]
    else:
        return {}
    links: Links = {}
    for target in targets:
        values = {name: (known | new)[name] for name in _path_names(target)}
        headers = _headers(route, target)
        if values and headers is not None:
            links[target.name] = {"operationId": target.name, "parameters": values | headers}
    return links


def _made(route: Route, routes: Sequence[Route]) -> dict[str, str]:
    """Return where the new thing's id is, by the name that other routes have for that id."""
    address = (route.location or f"{PREFIX}{route.path}/{{id}}").removeprefix(PREFIX)
    (model, *_) = models_in(route.result)
    return _ids(address, routes, model, "")


def _items(route: Route, routes: Sequence[Route]) -> dict[str, str]:
    """Return where the answer has the id of each list's first item, by the name that other routes have for it."""
    found: dict[str, str] = {}
    for model in models_in(route.result):
        for field, info in model.model_fields.items():
            item = next(iter(get_args(info.annotation)), None) if get_origin(info.annotation) is list else None
            if isinstance(item, type) and issubclass(item, BaseModel):
                found |= _ids(f"{route.path}/{{id}}", routes, item, f"/{field}/0")
    return found


def _ids(address: str, routes: Sequence[Route], model: type[BaseModel], pointer: str) -> dict[str, str]:
    """Return the names that the routes at `address` have for its last parameter, with the field of `model` for each."""
    last = _last_parameter(address)
    names = dict.fromkeys(target.path.split("/")[last].strip("{}") for target in _below(address, routes))
    fields = {name: name if name in model.model_fields else address.split("/")[last].strip("{}") for name in names}
    return {name: f"$response.body#{pointer}/{field}" for name, field in fields.items() if field in model.model_fields}


def _below(address: str, routes: Sequence[Route]) -> Iterator[Route]:
    """Yield the routes at `address` or below it; a parameter matches any parameter."""
    segments = re.sub(r"{\w+}", "{}", address).split("/")[: _last_parameter(address) + 1]
    for route in routes:
        if re.sub(r"{\w+}", "{}", route.path).split("/")[: len(segments)] == segments:
            yield route


def _last_parameter(address: str) -> int:
    return max(place for place, segment in enumerate(address.split("/")) if segment.startswith("{"))


def _takes(target: Route, known: Mapping[str, str], new: Mapping[str, str]) -> bool:
    names = _path_names(target)
    return names <= known.keys() and not names.isdisjoint(new)


def _headers(route: Route, target: Route) -> dict[str, str] | None:
    """Return where the headers of `target` come from, or None if the value of one is not known."""
    given = {name: f"$request.header.{name}" for name in route.headers}
    given |= {name: f"$response.body#/{field}" for name, field in route.header_fields.items()}
    return {name: given[name] for name in target.headers} if target.headers.keys() <= given.keys() else None


def _path_names(route: Route) -> KeysView[str]:
    return dict.fromkeys(re.findall(r"{(\w+)}", route.path)).keys()


def _depth(route: Route) -> int:
    return route.path.count("/")
