"""What the timer does for images: it ends uploads that never arrived or were never checked, and removes unused blobs.

Each run does a limited amount of work. It may run twice, late, and at the same time as another run.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from shared.domain.catalog.queries import shown_images
from shared.domain.images import checking, uploads
from shared.domain.images.uploads import Upload
from shared.kit.clock import utc_now
from shared.kit.db.unit_of_work import UnitOfWork
from shared.kit.storage import blobs, tables

log = logging.getLogger(__name__)

_UPLOADS_A_RUN = 20
_BLOBS_A_PAGE = 200
_UNCHECKED_FOR_TOO_LONG = timedelta(days=1)
_UNSHOWN_FOR_TOO_LONG = timedelta(hours=1)  # a function runs for ten minutes at most, and its transaction no longer
_NEXT_PAGE = timedelta(minutes=1)
_NEXT_ROUND = timedelta(hours=1)

_SWEEPS = "sweeps"
_PLACE = "place"
_NEVER_ARRIVED = "The file never arrived."
_GONE = "The file is gone: its upload failed, or a malware scanner removed it."
_NEVER_CHECKED = "The file could not be checked; upload it again."


def clean_uploads(*, now: datetime) -> None:
    """Check the uploads that are due, then clean the next page of each container."""
    for upload in uploads.claim_due(now=now, most=_UPLOADS_A_RUN):
        try:
            _settle(upload, now=utc_now())  # a check takes its time, and the next one is later
        except Exception:
            log.exception("Upload %s could not be checked; it will be tried again", upload.id)
    _sweep(blobs.UPLOADS, "", _remove_unchecked, now=now)
    _sweep(blobs.PUBLIC, "images/", _remove_unshown, now=now)


def _settle(upload: Upload, *, now: datetime) -> None:
    found = blobs.blob_info(blobs.UPLOADS, upload.blob_name)
    if found is None:
        state = uploads.find(upload)
        checking.refuse(upload, _GONE if state and state.status == "received" else _NEVER_ARRIVED, now=now)
        return
    read = partial(blobs.get_blob, blobs.UPLOADS, upload.blob_name)
    checking.validate_upload(upload.blob_name, read, size=found.size, now=now)


def _sweep(
    container: str, prefix: str, remove: Callable[[list[blobs.BlobInfo], datetime], None], *, now: datetime
) -> None:
    """Clean the container's next page; the pages of a round are a minute apart, the rounds an hour."""
    place = tables.get_entity(_SWEEPS, container, _PLACE) or {}
    if place.get("due_at", now) > now:
        return
    found, marker = blobs.list_page(container, prefix=prefix, size=_BLOBS_A_PAGE, marker=place.get("marker"))
    remove(found, now)
    due_at = now + (_NEXT_PAGE if marker else _NEXT_ROUND)
    entity = {"PartitionKey": container, "RowKey": _PLACE, "due_at": due_at}
    tables.put_entity(_SWEEPS, entity | ({"marker": marker} if marker else {}))


def _remove_unchecked(found: list[blobs.BlobInfo], now: datetime) -> None:
    for blob in found:
        if now - blob.written_at < _UNCHECKED_FOR_TOO_LONG:
            continue
        upload = Upload.of_blob(blob.name)
        if upload is None:
            blobs.delete_blob(blobs.UPLOADS, blob.name, only=blob)
        else:
            checking.refuse(upload, _NEVER_CHECKED, now=now)


def _remove_unshown(found: list[blobs.BlobInfo], now: datetime) -> None:
    """Remove blobs that are left over because a function was killed or the storage was down."""
    packages = {blob: _package_of(blob.name) for blob in found if now - blob.written_at >= _UNSHOWN_FOR_TOO_LONG}
    of_packages = {package for package in packages.values() if package}
    if not of_packages:
        return
    with UnitOfWork(read_only=True) as unit_of_work:
        shown = shown_images(unit_of_work.session, of_packages)
    for blob, package in packages.items():
        if package and blob.name not in shown:
            blobs.delete_blob(blobs.PUBLIC, blob.name, only=blob)


def _package_of(name: str) -> tuple[UUID, UUID] | None:
    upload = Upload.of_blob(name.removeprefix("images/").rpartition("/")[0])
    return (upload.event_id, upload.package_id) if upload else None
