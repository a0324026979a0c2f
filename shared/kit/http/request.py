"""From an HTTP request to typed values; all faults in the input are found at once, and each is named by its pointer."""

import re
import uuid
from collections.abc import Mapping
from uuid import UUID

import azure.functions as func
from pydantic import BaseModel, ValidationError

from shared.kit.errors import NotFound
from shared.kit.http.call import UploadedFile
from shared.kit.http.problems import (
    BodyTooLarge,
    Fault,
    IdempotencyKeyRequired,
    Invalid,
    MalformedJson,
    MalformedRequest,
    Unauthenticated,
    WrongContentType,
    faults_of,
)

MAX_JSON_BYTES = 1_000_000
MAX_FILE_BODY_BYTES = 6_000_000

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_OUR_ETAG = re.compile(r'"v(\d{1,18})(?:-[0-9a-f]+)?"')
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def request_id_of(req: func.HttpRequest) -> str:
    """Return the client's `X-Request-Id` if it is a harmless word, else a new one."""
    given: str = req.headers.get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def bearer_token_of(req: func.HttpRequest) -> str | None:
    """Return the bearer token, or None when there is no Authorization header."""
    header: str | None = req.headers.get("authorization")
    if not header:
        return None
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated("The Authorization header must read: Bearer <token>.")
    return token.strip()


def is_id(text: str) -> bool:
    """Whether the text has the form of an id."""
    return _UUID.fullmatch(text) is not None


def path_id(parameters: Mapping[str, str], name: str) -> UUID:
    """Return an id of the path; a text that is no UUID is answered 404, because it names nothing."""
    if not is_id(parameters[name]):
        raise NotFound
    return UUID(parameters[name])


def query_of[Model: BaseModel](model: type[Model], req: func.HttpRequest) -> Model:
    """Return the query parameters as `model`; unknown ones are refused, so that a typing error is noticed."""
    try:
        return model.model_validate_strings(dict(req.params))
    except ValidationError as error:
        raise Invalid(faults=faults_of(error, prefix="/query")) from None


def raw_body_of(req: func.HttpRequest) -> bytes:
    """Return the body unchanged."""
    body: bytes = req.get_body()
    if len(body) > MAX_JSON_BYTES:
        raise BodyTooLarge(f"A body may have at most {MAX_JSON_BYTES:,} bytes.", limit_bytes=MAX_JSON_BYTES)
    return body


def body_of[Model: BaseModel](model: type[Model], req: func.HttpRequest) -> Model:
    """Return the JSON body as `model`, strictly."""
    body = req.get_body()
    if len(body) > MAX_JSON_BYTES:
        raise BodyTooLarge(f"A JSON body may have at most {MAX_JSON_BYTES:,} bytes.", limit_bytes=MAX_JSON_BYTES)
    content_type = req.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "application/json" and not content_type.endswith("+json"):
        raise WrongContentType("Send the body as application/json.")
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        if first["type"] == "json_invalid":
            raise MalformedJson(first["msg"] + ".") from None
        faults = faults_of(error)
        raise Invalid(_summary(faults), faults=faults) from None


def file_of(req: func.HttpRequest, field: str) -> UploadedFile:
    """Return the file in `field` of a multipart form."""
    if len(req.get_body()) > MAX_FILE_BODY_BYTES:
        raise BodyTooLarge(
            f"An upload may have at most {MAX_FILE_BODY_BYTES:,} bytes.", limit_bytes=MAX_FILE_BODY_BYTES
        )
    if not req.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise WrongContentType("Send the file as multipart/form-data.")
    try:
        part = req.files.get(field)
        if part is not None:
            return UploadedFile((part.filename or "")[:255], part.mimetype or "", part.read())
    except ValueError:
        raise MalformedRequest("The multipart body can't be read.") from None
    missing = Fault(pointer=f"/{field}", detail="Field required", code="missing")
    raise Invalid(f"The form has no file in the field `{field}`.", faults=[missing])


def if_match_of(req: func.HttpRequest) -> frozenset[int] | None:
    """Return the versions that `If-Match` allows, or None if any version will do; tags that are not ours allow nothing.

    The comparison is strong (RFC 9110 §13.1.1): a weak tag never matches.
    """
    header = req.headers.get("if-match", "")
    tags = [tag.strip() for tag in header.split(",") if tag.strip()]
    if not tags or tags == ["*"]:
        return None
    return frozenset(int(found.group(1)) for tag in tags if (found := _OUR_ETAG.fullmatch(tag)))


def idempotency_key_of(req: func.HttpRequest) -> str:
    """Return the `Idempotency-Key`; raises if the request has none."""
    key: str = req.headers.get("idempotency-key", "")
    if not _IDEMPOTENCY_KEY.fullmatch(key):
        raise IdempotencyKeyRequired
    return key


def matches_etag(req: func.HttpRequest, etag: str) -> bool:
    """Whether `If-None-Match` names exactly this representation (weak comparison, RFC 9110 §8.8.3.2)."""
    header = req.headers.get("if-none-match", "")
    return bool(header) and any(tag.strip().removeprefix("W/") in {etag, "*"} for tag in header.split(","))


def _summary(faults: list[Fault]) -> str:
    where = ", ".join(fault.pointer or "the body" for fault in faults[:5])
    return (
        f"{len(faults)} fault{'s' if len(faults) > 1 else ''} in the input: {where}{', …' if len(faults) > 5 else ''}."
    )
