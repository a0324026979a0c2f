"""How an image comes in: uploaded through the app, or sent straight to the storage with a link (R-IMG).

`checking` validates uploads, `uploads` keeps their states, and `cleaning` removes leftovers. `catalog.package_image`
decides which image a package shows.
"""

from datetime import datetime, timedelta
from uuid import UUID

from shared.domain.images import uploads
from shared.domain.images.rules import MAX_BYTES
from shared.domain.images.schemas import UploadLinkOut, UploadOut
from shared.domain.images.uploads import Upload
from shared.kit.actor import Actor
from shared.kit.storage import blobs

_LINK_WORKS_FOR = timedelta(minutes=10)
_SLOW_CONNECTION = timedelta(minutes=5)  # an upload that began while the link worked may end later
_EVENT_LOST_AFTER = timedelta(minutes=1)  # then the timer checks the upload, without its blob event


def receive_image(
    event_id: UUID, package_id: UUID, data: bytes, *, content_type: str, actor: Actor, now: datetime
) -> UploadOut:
    """Put an upload into quarantine, where validation finds it; uses the storage alone, outside any transaction."""
    upload = Upload.new(event_id, package_id)
    received = uploads.receive(upload, now=now, by=actor, due_at=now + _EVENT_LOST_AFTER)
    blobs.put_blob(blobs.UPLOADS, upload.blob_name, data, content_type=content_type)
    return received


def offer_upload_link(event_id: UUID, package_id: UUID, *, actor: Actor, now: datetime) -> UploadLinkOut:
    """Return a link with which a client sends one file straight into quarantine; it works for ten minutes."""
    upload, expiry = Upload.new(event_id, package_id), now + _LINK_WORKS_FOR
    expected = uploads.expect(upload, by=actor, requested_at=now, due_at=expiry + _SLOW_CONNECTION)
    return UploadLinkOut(
        upload_id=upload.id,
        status=expected.status,
        upload_url=blobs.create_link(blobs.UPLOADS, upload.blob_name, now=now, expiry=expiry),
        headers={"x-ms-blob-type": "BlockBlob"},
        expires_at=expiry,
        max_bytes=MAX_BYTES,
    )
