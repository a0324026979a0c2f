"""A package's image as coordinators handle it: uploaded into quarantine, or by a link, followed, removed (R-IMG).

What becomes of an upload: `image_checks`. How far it is: `image_uploads`. What is cleaned up: `image_cleaning`.
"""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from shared.domain.audit.commands import Entity, record
from shared.domain.catalog import image_uploads
from shared.domain.catalog.errors import NoSuchPackage, NoSuchUpload
from shared.domain.catalog.image_rules import MAX_BYTES
from shared.domain.catalog.image_uploads import Upload
from shared.domain.catalog.models import TicketPackage
from shared.domain.catalog.schemas import UploadLinkOut, UploadOut
from shared.kit.actor import Actor
from shared.kit.ids import new_id
from shared.kit.storage import blobs

_LINK_WORKS_FOR = timedelta(minutes=10)
_SLOW_CONNECTION = timedelta(minutes=5)  # who began while the link worked may end after it
_EVENT_LOST_AFTER = timedelta(minutes=1)  # then the timer checks what the blob event should have brought


def require_package(session: Session, event_id: UUID, package_id: UUID) -> None:
    """Raise `NoSuchPackage` unless the event has the package."""
    found = session.scalar(
        select(TicketPackage.id).where(TicketPackage.event_id == event_id, TicketPackage.id == package_id)
    )
    if found is None:
        raise NoSuchPackage


def receive_image(
    event_id: UUID, package_id: UUID, data: bytes, *, content_type: str, actor: Actor, now: datetime
) -> UploadOut:
    """Keep an upload in quarantine, where validation finds it; works on the storage alone, outside any transaction."""
    upload = Upload.new(event_id, package_id)
    received = image_uploads.receive(upload, now=now, by=actor, due_at=now + _EVENT_LOST_AFTER)
    blobs.put_blob(blobs.UPLOADS, upload.blob_name, data, content_type=content_type)
    return received


def offer_upload_link(event_id: UUID, package_id: UUID, *, actor: Actor, now: datetime) -> UploadLinkOut:
    """Return a link by which one file gets into quarantine without passing through here; it works for ten minutes."""
    upload, expiry = Upload.new(event_id, package_id), now + _LINK_WORKS_FOR
    expected = image_uploads.expect(upload, by=actor, requested_at=now, due_at=expiry + _SLOW_CONNECTION)
    return UploadLinkOut(
        upload_id=upload.id,
        status=expected.status,
        upload_url=blobs.create_link(blobs.UPLOADS, upload.blob_name, now=now, expiry=expiry),
        headers={"x-ms-blob-type": "BlockBlob"},
        expires_at=expiry,
        max_bytes=MAX_BYTES,
    )


def get_upload(event_id: UUID, package_id: UUID, upload_id: UUID) -> UploadOut:
    """How far an upload is; raises `NoSuchUpload`."""
    upload = image_uploads.find(Upload(event_id, package_id, upload_id))
    if upload is None:
        raise NoSuchUpload
    return upload


def remove_image(session: Session, event_id: UUID, package_id: UUID, *, actor: Actor, now: datetime) -> list[str]:
    """Show no image any more, not even one still being validated; returns the blobs to delete after the commit."""
    package = session.scalar(
        select(TicketPackage)
        .where(TicketPackage.event_id == event_id, TicketPackage.id == package_id)
        .with_for_update(key_share=True)
    )
    if package is None:
        raise NoSuchPackage
    old = [name for name in (package.display_image, package.thumbnail_image) if name]
    package.display_image = package.thumbnail_image = None
    package.image_upload_id = new_id()
    package.version += 1
    package.updated_at = now
    session.flush()
    gone = {"image": (old[0] if old else None, None)}
    record(session, event_id, Entity.PACKAGE, package_id, gone, actor=actor, now=now)
    return old
