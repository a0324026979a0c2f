"""What a handler sees of a request, and what it may answer with instead of a plain model."""

from dataclasses import dataclass, field
from datetime import datetime
from types import NoneType, UnionType
from typing import Any, TypeAliasType, Union, get_args, get_origin
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy.orm import Session

from shared.kit.actor import Actor
from shared.kit.db.idempotency import Idempotency
from shared.kit.db.unit_of_work import UnitOfWork
from shared.kit.http.client_address import UNKNOWN
from shared.kit.versions import IfMatch


@dataclass(frozen=True, slots=True)
class Call:
    """One call of an endpoint: who calls, when, for which event, and in which transaction."""

    actor: Actor
    now: datetime
    request_id: str
    unit_of_work: UnitOfWork
    event: UUID | None = None
    if_match: IfMatch = None
    keyed: Idempotency | None = None
    headers: dict[str, str] = field(default_factory=dict)
    address: str = UNKNOWN
    """Where the request comes from: an IPv4 address, or the /64 of an IPv6 address."""

    @property
    def session(self) -> Session:
        """The database session; the transaction begins at its first use and ends with the call."""
        return self.unit_of_work.session

    @property
    def event_id(self) -> UUID:
        """The event in the path; the caller's permission was checked for it."""
        assert self.event is not None, "the route has no {event_id}"
        return self.event

    @property
    def idempotency(self) -> Idempotency:
        """The request's Idempotency-Key, on routes that require one."""
        assert self.keyed is not None, "the route is not declared idempotent"
        return self.keyed


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """A file of a multipart form."""

    file_name: str
    content_type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Redirect:
    """An answer that sends the client elsewhere (302)."""

    location: str


@dataclass(frozen=True, slots=True)
class Answer[Model: BaseModel]:
    """A model with a status that only the handler knows; the route declares the status in `also`."""

    body: Model
    status: int


@dataclass(frozen=True, slots=True)
class Rendered[Model: BaseModel]:
    """A model that is JSON already, for example from the cache."""

    json: bytes


@dataclass(frozen=True, slots=True)
class Content:
    """An answer that is not JSON."""

    body: bytes
    content_type: str
    status: int = 200
    file_name: str | None = None
    headers: dict[str, str] = field(default_factory=dict)


def alternatives_in(hint: Any) -> tuple[Any, ...]:
    """Return the types that a handler may answer with, from its return type; wrapped models are unwrapped."""
    if isinstance(hint, TypeAliasType):
        return alternatives_in(hint.__value__)
    if get_origin(hint) in {Answer, Rendered}:
        return get_args(hint)
    return get_args(hint) if get_origin(hint) in {Union, UnionType} else (NoneType if hint is None else hint,)


def models_in(hint: Any) -> list[type[BaseModel]]:
    """Return the models that a handler's return type names."""
    return [kind for kind in alternatives_in(hint) if isinstance(kind, type) and issubclass(kind, BaseModel)]
