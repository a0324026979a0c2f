"""The blob-triggered function that validates uploaded images."""

import azure.functions as func

from shared.domain.catalog.images import validate_upload
from shared.kit.settings import settings
from shared.kit.storage.blobs import UPLOADS

bp = func.Blueprint()


@bp.function_name("validate_image")
@bp.blob_trigger(
    arg_name="upload",
    path=f"{UPLOADS}/{{name}}",
    connection="AzureWebJobsStorage",
    source=func.BlobSource.EVENT_GRID
    if settings().blob_trigger_source == "EventGrid"
    else func.BlobSource.LOGS_AND_CONTAINER_SCAN,
)
def validate_image(upload: func.InputStream) -> None:
    """Turn an upload into the package's WebP images, or refuse it with a reason."""
    assert upload.name is not None
    validate_upload(upload.name.partition("/")[2], upload.read())
