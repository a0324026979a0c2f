from uuid import UUID

from shared.domain.images import uploads
from shared.domain.images.errors import NoSuchUpload
from shared.domain.images.schemas import UploadOut
from shared.domain.images.uploads import Upload


def get_upload(event_id: UUID, package_id: UUID, upload_id: UUID) -> UploadOut:
    """Return the state of an upload; raises `NoSuchUpload`."""
    upload = uploads.find(Upload(event_id, package_id, upload_id))
    if upload is None:
        raise NoSuchUpload
    return upload
