"""Problem details (RFC 9457) for every error, each with a stable `code`; no internal details leak."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.kit.errors import Conflict, Forbidden, Gone, InvalidInput, Mismatch, NotFound, Refusal, StaleVersion
from shared.kit.rate_limits import Exceeded

STATUS_OF: dict[type[Refusal], int] = {
    InvalidInput: 422,
    Mismatch: 400,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    Gone: 410,
    StaleVersion: 412,
}


class Fault(BaseModel):
    """One fault in the input."""

    pointer: str = Field(description="JSON pointer of the value (RFC 6901); query parameters as `/query/name`.")
    detail: str
    code: str


class Problem(BaseModel):
    """What went wrong, for people (`title`, `detail`) and for programs (`code`, and fields of the problem's own)."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="`about:blank`, or an address that explains the code.")
    title: str
    status: int
    detail: str
    code: str = Field(description="Stable name of the problem.")
    request_id: str = ""
    errors: list[Fault] | None = None


class EdgeProblem(Exception):
    """A refusal by the edge, before the domain is asked or instead of it."""

    status: ClassVar[int] = 400
    code: ClassVar[str] = "bad_request"
    headers: Mapping[str, str] = MappingProxyType({})

    def __init__(self, detail: str | None = None, *, faults: Sequence[Fault] = (), **fields: object) -> None:
        """`detail` is one sentence for people; the class's docstring is the title."""
        super().__init__(detail or self.title())
        self.detail = detail or self.title()
        self.faults = faults
        self.fields = fields

    @classmethod
    def title(cls) -> str:
        """The class's own sentence."""
        return (cls.__doc__ or cls.__name__).strip().splitlines()[0].rstrip(".")


class MalformedRequest(EdgeProblem):
    """The request can't be read."""

    code = "malformed_request"


class MalformedJson(EdgeProblem):
    """The body is not valid JSON."""

    code = "malformed_json"


class IdempotencyKeyRequired(EdgeProblem):
    """This request needs an Idempotency-Key header of 1 to 255 printable characters."""

    code = "idempotency_key_required"


class Unauthenticated(EdgeProblem):
    """Sign in first: a valid bearer token is needed."""

    status = 401
    code = "unauthenticated"
    headers: Mapping[str, str] = {"WWW-Authenticate": 'Bearer realm="boxoffice"'}


class InvalidToken(Unauthenticated):
    """The bearer token is not accepted."""

    code = "invalid_token"
    headers: Mapping[str, str] = {"WWW-Authenticate": 'Bearer realm="boxoffice", error="invalid_token"'}


class UnsignedMessage(EdgeProblem):
    """The message's signature is missing, wrong or too old."""

    code = "bad_signature"


class NoSuchRoute(EdgeProblem):
    """There is nothing at this address."""

    status = 404
    code = "no_such_route"


class MethodNotAllowed(EdgeProblem):
    """This address does not take this method."""

    status = 405
    code = "method_not_allowed"


class BodyTooLarge(EdgeProblem):
    """The body is larger than this address takes."""

    status = 413
    code = "body_too_large"


class WrongContentType(EdgeProblem):
    """The body's content type is not the one expected here."""

    status = 415
    code = "unsupported_media_type"


class Invalid(EdgeProblem):
    """The input has faults; each is named."""

    status = 422
    code = "invalid_input"


class TooManyRequests(EdgeProblem):
    """You have asked too often; wait a little."""

    status = 429
    code = "too_many_requests"

    def __init__(self, exceeded: Exceeded) -> None:
        """Say when to ask again (RateLimit header fields for HTTP: draft-ietf-httpapi-ratelimit-headers)."""
        seconds = exceeded.retry_after_seconds
        super().__init__(f"You have asked too often; ask again in {seconds} s.", retry_after_seconds=seconds)
        self.headers = {
            "Retry-After": str(seconds),
            "RateLimit-Policy": exceeded.policy,
            "RateLimit": f'"{exceeded.name}";r=0;t={seconds}',
        }


class InternalError(EdgeProblem):
    """Something went wrong on our side; it has been logged under the request id."""

    status = 500
    code = "internal_error"


class Busy(EdgeProblem):
    """Too much is going on just now; nothing has changed, try again."""

    status = 503
    code = "busy"
    headers: Mapping[str, str] = {"Retry-After": "1"}


class DependencyDown(EdgeProblem):
    """A service that this needs is out of reach; nothing has changed, try again."""

    status = 503
    code = "dependency_down"
    headers: Mapping[str, str] = {"Retry-After": "3"}


class OutcomeUnknown(EdgeProblem):
    """The connection broke during the commit; check whether the change was made before you repeat it."""

    status = 503
    code = "outcome_unknown"
    headers: Mapping[str, str] = {"Retry-After": "3"}


def status_of(refusal: type[Refusal]) -> int:
    """Return the HTTP status of a domain error's category."""
    for category in refusal.__mro__:
        if category in STATUS_OF:
            return STATUS_OF[category]
    return 400


def problem_of(error: Refusal | EdgeProblem, request_id: str) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Return an error as status, problem document and extra headers."""
    faults: Sequence[Fault] = ()
    if isinstance(error, EdgeProblem):
        status, headers, faults = error.status, dict(error.headers), error.faults
    else:
        status, headers = status_of(type(error)), {}
        if isinstance(error, InvalidInput):
            faults = [Fault(pointer=fault.pointer, detail=fault.detail, code=fault.code) for fault in error.faults]
    document: dict[str, Any] = {
        "type": "about:blank" if type(error) in {InternalError, NoSuchRoute} else f"urn:boxoffice:problem:{error.code}",
        "title": error.title(),
        "status": status,
        "detail": error.detail,
        "code": error.code,
        "request_id": request_id,
    }
    assert not document.keys() & error.fields.keys(), "a field of the error would replace a standard one"
    document |= error.fields
    if faults:
        document["errors"] = [fault.model_dump() for fault in faults]
    return status, document, headers


def reason_phrase(status: int) -> str:
    """Return the standard phrase of a status."""
    return HTTPStatus(status).phrase


def faults_of(error: ValidationError, *, prefix: str = "") -> list[Fault]:
    """Return each fault that pydantic found, with the JSON pointer of its value."""
    return [
        Fault(
            pointer=prefix + "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in fault["loc"]),
            detail=fault["msg"].removeprefix("Value error, "),
            code=fault["type"],
        )
        for fault in error.errors(include_url=False, include_context=False, include_input=False)
    ]
