"""The state of each upload, in Table storage (R-IMG-3), and the uploads that still need attention.

An upload ends as `valid` or `refused`. The first end that is written stays; later news changes nothing. Until an upload
is done with, a row in a second table says when the timer looks at it (again). That row is written before the upload's
state and deleted last, so no upload is forgotten, even if a process dies at any point.
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
_LEASE = timedelta(minutes=2)  # longer than a check takes, so that two timers don't check one upload


@dataclass(frozen=True, slots=True)
class Upload:
    """One upload: its package, and its own id. The id is a UUIDv7, so a later upload has a greater id."""

    event_id: UUID
    package_id: UUID
    id: UUID

    @classmethod
    def new(cls, event_id: UUID, package_id: UUID) -> Self:
        """Return a new upload, with a new id."""
        return cls(event_id, package_id, new_id())

    @classmethod
    def of_blob(cls, name: str) -> Self | None:
        """Return the upload that a blob in quarantine belongs to; None for a name that this app does not write."""
        try:
            upload = cls(*(UUID(part) for part in name.split("/")))
        except (ValueError, TypeError):
            return None
        return upload if upload.blob_name == name else None

    @property
    def blob_name(self) -> str:
        """The blob's name in the quarantine container; it names the event and the package."""
        return f"{self.event_id}/{self.package_id}/{self.id}"

    @property
    def public_folder(self) -> str:
        """The folder of its images in the public container."""
        return f"images/{self.event_id}/{self.package_id}/{self.id}"

    @property
    def state_keys(self) -> tuple[str, str]:
        """The partition and row of its state."""
        return f"{self.event_id}_{self.package_id}", str(self.id)


def expect(upload: Upload, *, by: Actor, requested_at: datetime, due_at: datetime) -> UploadOut:
    """Note that an upload is expected by a link; the timer looks at it at `due_at`, whether or not it has arrived."""
    look_again(upload, due_at=due_at)
    return _change(upload, lambda _: {"status": "expected", "requested_at": requested_at, **_kept(by)})


def receive(upload: Upload, *, now: datetime, by: Actor | None = None, due_at: datetime | None = None) -> UploadOut:
    """Note that the file has arrived, and who sent it, unless that is known already; a final state stays."""
    if due_at:
        look_again(upload, due_at=due_at)

    def arrived(state: dict[str, Any]) -> dict[str, Any] | None:
        known = state.get("status") in {"received", *_FINAL}
        news = {"status": "received", "received_at": now, **(_kept(by) if by else {})}
        return None if known else {**state, **news}

    return _change(upload, arrived)


def await_verdict(upload: Upload, *, due_at: datetime) -> None:
    """Note that the malware scanner has not answered yet; the timer looks at the upload again at `due_at`."""
    _change(upload, lambda state: None if is_final(state["status"]) else {**state, "malware_scan": "pending"})
    look_again(upload, due_at=due_at)


def finish(
    upload: Upload, status: Literal["valid", "refused"], *, reason: str | None, scan: str | None, now: datetime
) -> UploadOut:
    """Note how the upload ended, unless it has ended already; returns the state that counts."""

    def ended(state: dict[str, Any]) -> dict[str, Any] | None:
        if is_final(state.get("status", "")):
            return None
        news = {"status": status, "reason": reason, "malware_scan": scan, "finished_at": now}
        return {name: value for name, value in {**state, **news}.items() if value is not None}

    return _change(upload, ended)


def sender(upload: Upload) -> Actor:
    """Return who sent the file, or who asked for the link with which it was sent, for the audit trail."""
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
    """Whether this state never changes again."""
    return status in _FINAL


def find(upload: Upload) -> UploadOut | None:
    """Return the state of the upload, or None if there is no such upload."""
    state = tables.get_entity(_STATES, *upload.state_keys)
    return None if state is None else _out(upload, state)


def look_again(upload: Upload, *, due_at: datetime) -> None:
    """Have the timer look at the upload at `due_at`."""
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
    """Note that nothing is left to do for the upload."""
    tables.delete_entity(_OPEN, _OPEN_PARTITION, str(upload.id))


def claim_due(*, now: datetime, most: int) -> list[Upload]:
    """Return up to `most` uploads that are due; no other run gets them for two minutes."""
    rows = tables.claim_due(_OPEN, _OPEN_PARTITION, now=now, until=now + _LEASE, most=most)
    uploads = (Upload.of_blob(row["blob_name"]) for row in rows)
    return [upload for upload in uploads if upload]


type Change = Callable[[dict[str, Any]], dict[str, Any] | None]


def _change(upload: Upload, change: Change) -> UploadOut:
    return _out(upload, tables.change_entity(_STATES, *upload.state_keys, change).properties)


def _out(upload: Upload, state: dict[str, Any]) -> UploadOut:
    return UploadOut.model_validate({**state, "upload_id": upload.id})
