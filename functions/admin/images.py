from uuid import UUID

from functions.edge import drop_package_list, endpoints
from shared.domain.access.permissions import Permission
from shared.domain.catalog import package_image
from shared.domain.catalog.errors import NoSuchPackage
from shared.domain.catalog.queries import require_package
from shared.domain.images import commands, queries
from shared.domain.images.errors import NoSuchUpload
from shared.domain.images.rules import MAX_BYTES
from shared.domain.images.schemas import UploadLinkOut, UploadOut
from shared.domain.images.settings import image_settings
from shared.kit.http.call import Call, UploadedFile
from shared.kit.http.problems import BodyTooLarge
from shared.kit.rate_limits import RateLimit
from shared.kit.storage import blobs
from shared.kit.storage.account import storage_errors

bp = endpoints("Images", after_write=drop_package_list)

_IMAGE = "v1/admin/events/{event_id}/ticket-packages/{package_id}/image"
_UPLOAD = f"/api/{_IMAGE}/uploads/{{upload_id}}"

UPLOADS = RateLimit("uploads", lambda: image_settings().rate_limit_uploads, by="event")


@bp.post(
    _IMAGE,
    permission=Permission.PACKAGES_WRITE,
    status=202,
    location=_UPLOAD,
    limit=UPLOADS,
    refusals=(NoSuchPackage,),
)
def upload_image(call: Call, package_id: UUID, image: UploadedFile) -> UploadOut:
    """Upload a JPG, PNG or WebP of up to 5 MB; it is shown once it has been checked, within seconds."""
    if len(image.data) > MAX_BYTES:
        raise BodyTooLarge(f"An image may have at most {MAX_BYTES:,} bytes.", limit_bytes=MAX_BYTES)
    require_package(call.session, call.event_id, package_id)
    call.unit_of_work.commit()  # the storage is not asked inside a transaction
    with storage_errors():
        return commands.receive_image(
            call.event_id, package_id, image.data, content_type=image.content_type, actor=call.actor, now=call.now
        )


@bp.post(
    f"{_IMAGE}/upload-link",
    permission=Permission.PACKAGES_WRITE,
    status=201,
    location=_UPLOAD,
    limit=UPLOADS,
    refusals=(NoSuchPackage,),
)
def create_image_upload_link(call: Call, package_id: UUID) -> UploadLinkOut:
    """Get a link to send the image straight to the storage; it takes one file, once, within ten minutes."""
    require_package(call.session, call.event_id, package_id)
    call.unit_of_work.commit()  # the storage is not asked inside a transaction
    with storage_errors():
        return commands.offer_upload_link(call.event_id, package_id, actor=call.actor, now=call.now)


@bp.get(f"{_IMAGE}/uploads/{{upload_id}}", permission=Permission.PACKAGES_READ, refusals=(NoSuchUpload,))
def get_image_upload(call: Call, package_id: UUID, upload_id: UUID) -> UploadOut:
    """See the state of an upload, and if it was refused, why."""
    with storage_errors():
        return queries.get_upload(call.event_id, package_id, upload_id)


@bp.delete(_IMAGE, permission=Permission.PACKAGES_WRITE, status=204, refusals=(NoSuchPackage,))
def remove_image(call: Call, package_id: UUID) -> None:
    """Remove the package's image, and any image that is still being checked."""
    leftover = package_image.remove_image(call.session, call.event_id, package_id, actor=call.actor, now=call.now)
    call.unit_of_work.after_commit(lambda: blobs.delete_quietly(blobs.PUBLIC, leftover))
