from typing import Literal
from uuid import UUID

from shared.kit.fields import Moment, Output

type UploadStatus = Literal["expected", "received", "valid", "refused"]
type MalwareScan = Literal["pending", "clean", "malicious", "not_scanned"]


class UploadOut(Output):
    """An uploaded image and its state: expected (by a link), received, then valid or refused.

    `malware_scan` is null before the first scan, `pending` while the scanner has not answered, and `not_scanned` where
    there is no scanner or no verdict. `reason` says why an upload was refused, or why a valid one is not shown.
    """

    upload_id: UUID
    status: UploadStatus
    reason: str | None = None
    malware_scan: MalwareScan | None = None
    requested_at: Moment | None = None
    received_at: Moment | None = None
    finished_at: Moment | None = None


class UploadLinkOut(Output):
    """A link that takes one file, once. Send the file with `method` and `headers`, then follow the upload by its id."""

    upload_id: UUID
    status: UploadStatus
    upload_url: str
    method: Literal["PUT"] = "PUT"
    headers: dict[str, str]
    expires_at: Moment
    max_bytes: int
