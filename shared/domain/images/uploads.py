"""How far each upload is, in Table storage (R-IMG-3), and which ones somebody has still to look at.

An upload's state ends as `valid` or `refused`; the first to say so is right, and later news changes nothing. Until
everything about it is done, a row in a second table says when to look at it (again), so that none is forgotten
whatever dies: it is written before the upload's state and deleted last.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, Self
from uuid import UUID

from shared.domain.images.schemas import UploadOut
from shared.kit.actor import Actor
from shared.kit.ids import new_id
from shared.kit.storage import tables

_STATES = "uploads"
_OPEN = "openuploads"
_OPEN_PARTITION = "open"
_FINAL = ("valid", "refused")
_LEASE = timedelta(minutes=2)  # longer than checking one takes, so that two timers don't check the same


@dataclass(frozen=True, slots=True)
class Upload:
    """One upload: what it is for, and its own id, a UUIDv7: one that was asked for later has a greater id."""

    event_id: UUID
    package_id: UUID
    id: UUID

    @classmethod
    def new(cls, event_id: UUID, package_id: UUID) -> Self:
        """Name an upload that nobody has heard of."""
        return cls(event_id, package_id, new_id())

    @classmethod
    def of_blob(cls, name: str) -> Self | None:
        """Read the name of a blob in quarantine; None when it is none of ours."""
        try:
            upload = cls(*(UUID(part) for part in name.split("/")))
        except (ValueError, TypeError):
            return None
        return upload if upload.blob_name == name else None

    @property
    def blob_name(self) -> str:
        """The blob's name in the quarantine container; it says what the upload is for."""
        return f"{self.event_id}/{self.package_id}/{self.id}"

    @property
    def public_folder(self) -> str:
        """Where its images lie in the public container."""
        return f"images/{self.event_id}/{self.package_id}/{self.id}"

    @property
    def state_keys(self) -> tuple[str, str]:
        """The partition and row of its state."""
        return f"{self.event_id}_{self.package_id}", str(self.id)


def expect(upload: Upload, *, by: Actor, requested_at: datetime, due_at: datetime) -> UploadOut:
    """Note an upload that is to come by a link; it is looked at at `due_at`, whether or not it has come."""
    look_again(upload, due_at=due_at)
    return _change(upload, lambda _: {"status": "expected", "requested_at": requested_at, **_kept(by)})


def receive(upload: Upload, *, now: datetime, by: Actor | None = None, due_at: datetime | None = None) -> UploadOut:
    """Note that the file is here, and who sent it, unless that is known; a final state stays."""
    if due_at:
        look_again(upload, due_at=due_at)

    def arrived(state: dict[str, Any]) -> dict[str, Any] | None:
        known = state.get("status") in {"received", *_FINAL}
        news = {"status": "received", "received_at": now, **(_kept(by) if by else {})}
        return None if known else {**state, **news}

    return _change(upload, arrived)


def await_verdict(upload: Upload, *, due_at: datetime) -> None:
    """Note that the malware scanner has not answered yet; the upload is looked at again at `due_at`."""
    _change(upload, lambda state: None if is_final(state["status"]) else {**state, "malware_scan": "pending"})
    look_again(upload, due_at=due_at)


def finish(
    upload: Upload, status: Literal["valid", "refused"], *, reason: str | None, scan: str | None, now: datetime
) -> UploadOut:
    """Note how the upload ended, unless it already has; returns how it did."""

    def ended(state: dict[str, Any]) -> dict[str, Any] | None:
        if is_final(state.get("status", "")):
            return None
        news = {"status": status, "reason": reason, "malware_scan": scan, "finished_at": now}
        return {name: value for name, value in {**state, **news}.items() if value is not None}

    return _change(upload, ended)


def sender(upload: Upload) -> Actor:
    """Who sent the file, or asked for the link by which it came, for the audit trail."""
    state = tables.get_entity(_STATES, *upload.state_keys) or {}
    user_id = state.get("sender_id")
    return Actor(
        user_id=UUID(user_id) if user_id else None,
        email=state.get("sender_email"),
        name=state.get("sender_name"),
        request_id=state.get("request_id", ""),
    )


def _kept(by: Actor) -> dict[str, str]:
    kept = {
        "sender_id": str(by.user_id) if by.user_id else None,
        "sender_email": by.email,
        "sender_name": by.name,
        "request_id": by.request_id,
    }
    return {name: value for name, value in kept.items() if value}


def is_final(status: str) -> bool:
    """Whether the state never changes any more."""
    return status in _FINAL


def find(upload: Upload) -> UploadOut | None:
    """How far the upload is, or None when nobody knows of it."""
    state = tables.get_entity(_STATES, *upload.state_keys)
    return None if state is None else _out(upload, state)


def look_again(upload: Upload, *, due_at: datetime) -> None:
    """Let the timer look at the upload at `due_at`."""
    tables.put_entity(
        _OPEN,
        {
            "PartitionKey": _OPEN_PARTITION,
            "RowKey": str(upload.id),
            "blob_name": upload.blob_name,
            "due_at": due_at,
        },
    )


def close(upload: Upload) -> None:
    """Nothing about the upload is left to do."""
    tables.delete_entity(_OPEN, _OPEN_PARTITION, str(upload.id))


def claim_due(*, now: datetime, most: int) -> list[Upload]:
    """Up to `most` uploads that it is time to look at; nobody else gets them for two minutes."""
    rows = tables.claim_due(_OPEN, _OPEN_PARTITION, now=now, until=now + _LEASE, most=most)
    uploads = (Upload.of_blob(row["blob_name"]) for row in rows)
    return [upload for upload in uploads if upload]


type Change = Callable[[dict[str, Any]], dict[str, Any] | None]


def _change(upload: Upload, change: Change) -> UploadOut:
    return _out(upload, tables.change_entity(_STATES, *upload.state_keys, change).properties)


def _out(upload: Upload, state: dict[str, Any]) -> UploadOut:
    return UploadOut.model_validate({**state, "upload_id": upload.id})
