"""Validation: an upload in quarantine becomes the package's image, or is refused (R-IMG-2).

A blob event may come twice, or later than a newer image. The package then stays as it is (`catalog.package_image`).
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Literal

from shared.domain.catalog.package_image import PackageImage, show_image, withdraw_image
from shared.domain.catalog.queries import package_list_keys
from shared.domain.images import uploads
from shared.domain.images.errors import ImageRefused
from shared.domain.images.malware import NoVerdictYet, ScanResult, Verdict, scan_upload
from shared.domain.images.rules import MAX_BYTES, WebImages, too_large, web_images
from shared.domain.images.uploads import Upload
from shared.kit.cache import cache
from shared.kit.db.unit_of_work import UnitOfWork
from shared.kit.storage import blobs

log = logging.getLogger(__name__)

_A_YEAR = "public, max-age=31536000, immutable"  # the name of a published image is never used again
_VERDICT_WITHIN = timedelta(minutes=30)
_ASK_AGAIN_AFTER = timedelta(seconds=5)

_MALICIOUS = "The file contains malware."
_NO_VERDICT = "The file could not be scanned for malware; upload it again later."
_SUPERSEDED = "Not shown: a newer image, or a removal, came after it."


class UploadVanished(Exception):
    """The file has left the quarantine in the meantime: another run has finished with it."""


@dataclass(frozen=True, slots=True)
class _Outcome:
    status: Literal["valid", "refused"]
    reason: str | None = None
    scan: ScanResult | None = None


def validate_upload(name: str, read: Callable[[], bytes | None], *, size: int, now: datetime) -> None:
    """Turn an upload into the package's image, or refuse it; either way it then leaves the quarantine.

    `size` is in bytes and is known before `read` returns the content (None: the file is no longer there). While the
    malware scanner does not answer, the upload stays in quarantine, and the timer tries again. This may run twice for
    one upload, at the same time as another run, and after a newer upload.
    """
    upload = Upload.of_blob(name)
    if upload is None:
        log.warning("An upload was deleted because this app does not write names like its name")
        blobs.delete_blob(blobs.UPLOADS, name)
        return
    state = uploads.receive(upload, now=now)
    if not uploads.is_final(state.status):
        try:
            first_look_at_a_link = state.requested_at is not None and state.malware_scan is None
            outcome = _check(upload, _reader(read), size=size, may_be_forged=first_look_at_a_link, now=now)
        except UploadVanished:
            return
        except NoVerdictYet as silence:
            if now - (state.received_at or now) < _VERDICT_WITHIN:
                log.warning("An upload waits for the malware scanner: %s", silence)
                uploads.await_verdict(upload, due_at=now + _ASK_AGAIN_AFTER)
                return
            log.exception("Upload %s was refused: the malware scanner never answered", upload.id)
            outcome = _Outcome("refused", _NO_VERDICT, "not_scanned")
        _finish(upload, outcome, now=now)
    leave_quarantine(upload)


def refuse(upload: Upload, reason: str, *, now: datetime) -> None:
    """Refuse an upload that could not be checked, unless it has already ended."""
    uploads.finish(upload, "refused", reason=reason, scan=None, now=now)
    leave_quarantine(upload)


def leave_quarantine(upload: Upload) -> None:
    """Delete the file, then the row that reminds the timer of it."""
    blobs.delete_blob(blobs.UPLOADS, upload.blob_name)
    uploads.close(upload)


def _finish(upload: Upload, outcome: _Outcome, *, now: datetime) -> None:
    """Note the outcome; if another run has just refused the upload, take its image back."""
    state = uploads.finish(upload, outcome.status, reason=outcome.reason, scan=outcome.scan, now=now)
    if outcome.status == "valid" and state.status == "refused":
        _take_back(upload, now=now)


def _reader(read: Callable[[], bytes | None]) -> Callable[[], bytes]:
    @lru_cache(maxsize=1)
    def content() -> bytes:
        data = read()
        if data is None:
            raise UploadVanished
        return data

    return content


def _check(upload: Upload, read: Callable[[], bytes], *, size: int, may_be_forged: bool, now: datetime) -> _Outcome:
    """Look for malware before anything decodes the file; publish the image if the file is good."""
    if size > MAX_BYTES:
        return _Outcome("refused", too_large(size).detail)
    verdict = scan_upload(upload.blob_name, read, may_be_forged=may_be_forged)
    if verdict.result == "malicious":
        log.error("Malware in upload %s for package %s: %s", upload.id, upload.package_id, verdict.detail)
        return _Outcome("refused", _MALICIOUS, verdict.result)
    if verdict.is_missing:
        log.error("Upload %s was refused: the malware scanner says %s", upload.id, verdict.detail)
        return _Outcome("refused", _NO_VERDICT, verdict.result)
    return _publish(upload, read, verdict, now=now)


def _publish(upload: Upload, read: Callable[[], bytes], verdict: Verdict, *, now: datetime) -> _Outcome:
    try:
        images = web_images(read())
    except ImageRefused as refusal:
        return _Outcome("refused", refusal.detail, verdict.result)
    image = _write(upload, images)
    replaced = _show(upload, image, now=now)
    for blob in image.blobs if replaced is None else replaced:
        blobs.delete_blob(blobs.PUBLIC, blob)
    return _Outcome("valid", _SUPERSEDED if replaced is None else None, verdict.result)


def _write(upload: Upload, images: WebImages) -> PackageImage:
    image = _image_of(upload)
    for name, content in ((image.display, images.display), (image.thumbnail, images.thumbnail)):
        blobs.put_blob(blobs.PUBLIC, name, content, content_type="image/webp", cache_control=_A_YEAR)
    return image


def _image_of(upload: Upload) -> PackageImage:
    folder = upload.public_folder
    return PackageImage(upload.id, display=f"{folder}/display.webp", thumbnail=f"{folder}/thumbnail.webp")


def _show(upload: Upload, image: PackageImage, *, now: datetime) -> list[str] | None:
    """Make this the package's image; returns the blobs that it replaces, or None if it is not shown."""
    sender = uploads.sender(upload)  # before the transaction: none may wait for the storage
    with UnitOfWork() as unit_of_work:
        replaced = show_image(unit_of_work.session, upload.event_id, upload.package_id, image, actor=sender, now=now)
        _commit(unit_of_work, upload)
    return replaced


def _take_back(upload: Upload, *, now: datetime) -> None:
    with UnitOfWork() as unit_of_work:
        withdraw_image(unit_of_work.session, upload.event_id, upload.package_id, upload_id=upload.id, now=now)
        _commit(unit_of_work, upload)
    for name in _image_of(upload).blobs:
        blobs.delete_blob(blobs.PUBLIC, name)


def _commit(unit_of_work: UnitOfWork, upload: Upload) -> None:
    unit_of_work.after_commit(lambda: cache().drop(*package_list_keys(upload.event_id)))
    unit_of_work.commit()
