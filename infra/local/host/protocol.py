"""Stand-ins for the protobuf messages that the runtime builds and reads; it uses no other attributes than these."""

from types import SimpleNamespace
from typing import Any


class Message:
    """A message with the fields that it was made with."""

    def __init__(self, **fields: Any) -> None:
        self.__dict__.update(fields)


class TypedData(Message):
    """One value of one kind: `string`, `bytes`, `json`, `http`, …; or none."""

    def WhichOneof(self, _group: str) -> str | None:  # noqa: N802 - the name protobuf gives it
        """Return the kind of the value."""
        return next(iter(self.__dict__), None)

    @property
    def TypedData(self) -> "TypedData":  # noqa: N802 - the runtime looks for a wrapper first, and an exception would be slow here
        """Return the message itself."""
        return self


class ParameterBinding(Message):
    """A named value that goes into or comes out of a function."""

    def WhichOneof(self, _group: str) -> str:  # noqa: N802 - the name protobuf gives it
        """Return how the value is sent: always inline."""
        return "data"


class RpcHttp(Message):
    """An HTTP request on the way in, a response on the way out."""


class StatusResult(Message):
    """How a request to the runtime ended."""

    Failure = 0
    Success = 1


class RpcHttpCookie(Message):
    """A cookie of a response."""

    SameSite = SimpleNamespace(**{"None": 0, "Lax": 1, "Strict": 2, "ExplicitNone": 3})


class BindingInfo(Message):
    """Where a binding points."""

    undefined = 0
    inout = 2
    out = 1


setattr(BindingInfo, "in", 0)  # a keyword, so it cannot be written in the class

PROTOS = SimpleNamespace(
    TypedData=TypedData,
    ParameterBinding=ParameterBinding,
    RpcHttp=RpcHttp,
    RpcHttpCookie=RpcHttpCookie,
    StatusResult=StatusResult,
    BindingInfo=BindingInfo,
    **{
        name: type(name, (Message,), {})
        for name in (
            "FunctionLoadResponse",
            "FunctionMetadataResponse",
            "InvocationResponse",
            "NullableBool",
            "NullableDouble",
            "NullableString",
            "NullableTimestamp",
            "RpcException",
            "RpcFunctionMetadata",
            "RpcRetryOptions",
            "Timestamp",
            "WorkerInitResponse",
            "WorkerMetadata",
        )
    },
)

_PROPERTIES = {"protos": PROTOS, "host": "127.0.0.1"}


class Envelope:
    """A request to the runtime, in the form that its gRPC worker would pass it."""

    __slots__ = ("properties", "request")

    def __init__(self, kind: str, **fields: Any) -> None:
        self.request = Message(**{kind: Message(**fields)})
        self.properties = _PROPERTIES
