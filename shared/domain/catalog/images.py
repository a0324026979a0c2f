"""A package's image: received into quarantine, validated by the blob-triggered function, then shown (R-IMG).

Upload ids are UUIDv7, so a later upload has a greater id. The package remembers the id of the upload that it shows;
only a greater one may replace it. So a blob event that comes twice, or late, after a newer image, changes nothing.
"""

import logging
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from shared.domain.catalog.errors import NoSuchPackage, NoSuchUpload
from shared.domain.catalog.image_rules import ImageRefused, web_images
from shared.domain.catalog.models import TicketPackage
from shared.domain.catalog.schemas import UploadOut
from shared.kit.clock import utc_now
from shared.kit.db.unit_of_work import UnitOfWork
from shared.kit.ids import new_id
from shared.kit.storage import blobs, tables

log = logging.getLogger(__name__)

_TABLE = "uploads"
_A_YEAR = "public, max-age=31536000, immutable"  # the name of a published image is never used again


def upload_name(event_id: UUID, package_id: UUID, upload_id: UUID) -> str:
    """The blob's name in the quarantine container; it says what the upload is for."""
    return f"{event_id}/{package_id}/{upload_id}"


def require_package(session: Session, event_id: UUID, package_id: UUID) -> None:
    """Raise `NoSuchPackage` unless the event has the package."""
    found = session.scalar(
        select(TicketPackage.id).where(TicketPackage.event_id == event_id, TicketPackage.id == package_id)
    )
    if found is None:
        raise NoSuchPackage


def receive_image(event_id: UUID, package_id: UUID, data: bytes, *, content_type: str, now: datetime) -> UploadOut:
    """Keep an upload in quarantine, where validation finds it; works on the storage alone, outside any transaction."""
    upload = UploadOut(upload_id=new_id(), status="received", received_at=now)
    _note(event_id, package_id, upload)
    blobs.put_blob(blobs.UPLOADS, upload_name(event_id, package_id, upload.upload_id), data, content_type=content_type)
    return upload


def get_upload(event_id: UUID, package_id: UUID, upload_id: UUID) -> UploadOut:
    """How far an upload is; raises `NoSuchUpload`."""
    entity = tables.get_entity(_TABLE, f"{event_id}_{package_id}", str(upload_id))
    if entity is None:
        raise NoSuchUpload
    return UploadOut.model_validate({**entity, "upload_id": upload_id})


def remove_image(session: Session, event_id: UUID, package_id: UUID, *, now: datetime) -> list[str]:
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
    return old


def validate_upload(name: str, data: bytes) -> None:
    """Turn an upload into the package's image, or refuse it; either way it leaves the quarantine.

    May run twice for one upload, beside itself, and after a newer one.
    """
    try:
        event_id, package_id, upload_id = (UUID(part) for part in name.split("/"))
    except ValueError:
        log.warning("An upload with a name that is none of ours was deleted")
        blobs.delete_blob(blobs.UPLOADS, name)
        return
    received = tables.get_entity(_TABLE, f"{event_id}_{package_id}", str(upload_id)) or {}
    status, reason = "valid", None
    try:
        images = web_images(data)
    except ImageRefused as refusal:
        status, reason = "refused", refusal.detail
    else:
        folder = f"images/{event_id}/{package_id}/{upload_id}"
        display, thumbnail = f"{folder}/display.webp", f"{folder}/thumbnail.webp"
        for blob, content in ((display, images.display), (thumbnail, images.thumbnail)):
            blobs.put_blob(blobs.PUBLIC, blob, content, content_type="image/webp", cache_control=_A_YEAR)
        leftover = _show(event_id, package_id, upload_id, display, thumbnail)
        for blob in leftover:
            blobs.delete_blob(blobs.PUBLIC, blob)
    finished = UploadOut.model_validate(
        {
            "received_at": utc_now(),
            **received,
            "upload_id": upload_id,
            "status": status,
            "reason": reason,
            "finished_at": utc_now(),
        }
    )
    _note(event_id, package_id, finished)
    blobs.delete_blob(blobs.UPLOADS, name)


def _show(event_id: UUID, package_id: UUID, upload_id: UUID, display: str, thumbnail: str) -> list[str]:
    """Make this the package's image unless a newer one is; returns the blobs that nobody shows any more."""
    with UnitOfWork() as unit_of_work:
        session = unit_of_work.session
        package = session.execute(
            select(TicketPackage.image_upload_id, TicketPackage.display_image, TicketPackage.thumbnail_image)
            .where(TicketPackage.event_id == event_id, TicketPackage.id == package_id)
            .with_for_update(key_share=True)
        ).one_or_none()
        if package is not None and package.image_upload_id == upload_id:
            return []
        if package is None or (package.image_upload_id is not None and package.image_upload_id > upload_id):
            return [display, thumbnail]
        session.execute(
            update(TicketPackage)
            .where(TicketPackage.event_id == event_id, TicketPackage.id == package_id)
            .values(
                image_upload_id=upload_id,
                display_image=display,
                thumbnail_image=thumbnail,
                version=TicketPackage.version + 1,
                updated_at=utc_now(),
            )
        )
        unit_of_work.commit()
        return [name for name in (package.display_image, package.thumbnail_image) if name]


def _note(event_id: UUID, package_id: UUID, upload: UploadOut) -> None:
    entity: dict[str, Any] = {
        "PartitionKey": f"{event_id}_{package_id}",
        "RowKey": str(upload.upload_id),
        "status": upload.status,
        "received_at": upload.received_at,
    }
    if upload.reason:
        entity["reason"] = upload.reason
    if upload.finished_at:
        entity["finished_at"] = upload.finished_at
    tables.put_entity(_TABLE, entity)
