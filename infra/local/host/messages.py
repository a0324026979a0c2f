from collections.abc import Awaitable, Callable, Mapping
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qsl

from infra.local.host.functions import Function

type Receive = Callable[[], Awaitable[dict[str, Any]]]
type Headers = list[tuple[bytes, bytes]]
type Answer = tuple[int, Headers, bytes]
"""Status, headers and body."""

_SAME_SITE = {1: "Lax", 2: "Strict", 3: "None"}
_NOT_PASSED_ON = frozenset({"connection", "content-length", "transfer-encoding"})


class BodyTooLarge(Exception):
    """The request is larger than the platform takes."""


class ClientGone(Exception):
    """The client disconnected before its request was complete."""


def read_headers(raw: Headers) -> dict[str, str]:
    """Return the headers as the platform passes them to the app: one value for each name, with repeated ones joined."""
    headers: dict[str, str] = {}
    for name_bytes, value_bytes in raw:
        name, value = name_bytes.decode("latin-1"), value_bytes.decode("latin-1")
        if name in headers:
            value = f"{headers[name]}{'; ' if name == 'cookie' else ','}{value}"
        headers[name] = value
    return headers


def read_query(raw: bytes) -> dict[str, str]:
    """Return the query parameters; repeated ones are joined by commas."""
    query: dict[str, str] = {}
    if raw:
        for name, value in parse_qsl(raw.decode("latin-1"), keep_blank_values=True, errors="replace"):
            query[name] = f"{query[name]},{value}" if name in query else value
    return query


async def read_body(receive: Receive, headers: Mapping[str, str], limit: int) -> bytes:
    """Return the whole body.

    Raises BodyTooLarge beyond the limit, ClientGone if the client disconnects in the middle.
    """
    length = headers.get("content-length")
    if length is None and "transfer-encoding" not in headers:
        return b""
    if length is not None and int(length) > limit:
        raise BodyTooLarge
    chunks: list[bytes] = []
    size, more = 0, True
    while more:
        event = await receive()
        if event["type"] == "http.disconnect":
            raise ClientGone
        chunk = event.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise BodyTooLarge
        chunks.append(chunk)
        more = event.get("more_body", False)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def read_answer(function: Function, response: Any) -> Answer:
    """Return status, headers and body of what the function returned or put into its HTTP output.

    Raises ValueError when a header cannot be sent.
    """
    returned = response.return_value
    for output in response.output_data:
        if function.outputs[output.name]["type"] == "http":
            returned = output.data
    kind = returned.WhichOneof("data") if returned is not None else None
    if kind is None:
        return 204, [], b""
    if kind != "http":
        text = str(getattr(returned, kind)).encode()
        return 200, [(b"content-type", b"text/plain; charset=utf-8")], text
    http = returned.http
    headers: Headers = []
    for name, value in http.headers.items():
        if name.lower() in _NOT_PASSED_ON:
            continue
        headers.append((name.encode("latin-1"), _header_value(name, value)))
    headers.extend((b"set-cookie", _header_value("set-cookie", _cookie(cookie))) for cookie in http.cookies or ())
    status = int(http.status_code)
    if not 200 <= status <= 599:
        raise ValueError(f"{status} is not the status of an answer")
    return status, headers, http.body.bytes


def _header_value(name: str, value: str) -> bytes:
    if not value.isprintable() and not value.replace("\t", "").isprintable():
        raise ValueError(f"the header {name} holds control characters")
    return value.encode("latin-1" if value.isascii() else "utf-8")


def _cookie(cookie: Any) -> str:
    parts = [f"{cookie.name}={cookie.value}"]
    for name, field in (("Domain", cookie.domain), ("Path", cookie.path)):
        if field is not None and field.value:
            parts.append(f"{name}={field.value}")
    if cookie.expires is not None:
        parts.append(f"Expires={formatdate(cookie.expires.value.seconds, usegmt=True)}")
    if cookie.max_age is not None:
        parts.append(f"Max-Age={int(cookie.max_age.value)}")
    if cookie.same_site in _SAME_SITE:
        parts.append(f"SameSite={_SAME_SITE[cookie.same_site]}")
    parts += [name for name, flag in (("Secure", cookie.secure), ("HttpOnly", cookie.http_only)) if flag and flag.value]
    return "; ".join(parts)
