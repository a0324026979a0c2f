"""From what a handler returns to an HTTP response."""

import hashlib
from typing import Any

import azure.functions as func
import orjson
from pydantic import BaseModel

from shared.kit.errors import Refusal
from shared.kit.http.call import Answer, Content, Redirect, Rendered
from shared.kit.http.problems import EdgeProblem, problem_of
from shared.kit.http.request import matches_etag

JSON = "application/json"
PROBLEM = "application/problem+json"
_SAFE = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}


def etag_of(result: object, body: bytes) -> str:
    """Return the ETag: `"v<version>-<hash>"` for a versioned thing, else `"<hash>"`.

    `If-None-Match` compares the whole tag, because a sale changes the representation. `If-Match` compares only the
    version, because a sale must not make a coordinator's edit fail.
    """
    digest = hashlib.blake2b(body, digest_size=8).hexdigest()
    version = getattr(result, "version", None)
    return f'"{digest}"' if version is None else f'"v{version}-{digest}"'


def _news_in(result: object, body: bytes) -> bytes:
    """Return the part of an answer that decides its ETag."""
    silent = getattr(result, "unchanged_by", None)
    return result.model_dump_json(exclude=set(silent)).encode() if silent and isinstance(result, BaseModel) else body


def answer(req: func.HttpRequest, result: object, *, status: int, headers: dict[str, str]) -> func.HttpResponse:
    """Return a handler's result as a response; a read becomes 304 if the client already has its ETag."""
    headers = _SAFE | headers
    match result:
        case None:
            return func.HttpResponse(status_code=204, headers=headers)
        case Answer():
            return answer(req, result.body, status=result.status, headers=headers)
        case Redirect(location):
            return func.HttpResponse(
                status_code=302, headers=headers | {"Location": location, "Cache-Control": "no-store"}
            )
        case Content():
            if result.file_name:
                headers["Content-Disposition"] = f'attachment; filename="{result.file_name}"'
            # Sent as a header, because the SDK appends a charset to a text `mimetype` even if it names one already.
            headers |= {"Content-Type": result.content_type, **result.headers}
            return func.HttpResponse(result.body, status_code=result.status, headers=headers)
        case BaseModel() | Rendered():
            body = result.json if isinstance(result, Rendered) else result.__pydantic_serializer__.to_json(result)
            etag = etag_of(result, _news_in(result, body))
            headers = {"Cache-Control": "no-cache"} | headers | {"ETag": etag}
            if req.method == "GET" and matches_etag(req, etag):
                return func.HttpResponse(status_code=304, headers=headers)
            return func.HttpResponse(body, status_code=status, headers=headers, mimetype=JSON)
    raise TypeError(f"a handler returned {type(result).__name__}")


def refuse(error: Refusal | EdgeProblem, request_id: str) -> func.HttpResponse:
    """Return an error as a problem document."""
    status, document, headers = problem_of(error, request_id)
    return func.HttpResponse(
        orjson.dumps(document, default=str),
        status_code=status,
        headers=_SAFE | {"Cache-Control": "no-store", "X-Request-Id": request_id} | headers,
        mimetype=PROBLEM,
    )


def location_of(template: str, result: Any, parameters: dict[str, Any]) -> str:
    """Return the address of the new thing: `template` filled from the path and from the result's own fields."""
    own = {name: getattr(result, name) for name in type(result).model_fields if f"{{{name}}}" in template}
    return template.format_map(parameters | own)
