"""The functions for uploaded images: one validates each upload, and a timer checks the uploads that it missed."""

import azure.functions as func

from shared.domain.images.checking import validate_upload
from shared.domain.images.cleaning import clean_uploads as clean
from shared.domain.images.settings import image_settings
from shared.kit.clock import utc_now
from shared.kit.jobs import job
from shared.kit.storage.blobs import UPLOADS

bp = func.Blueprint()


@bp.function_name("validate_image")
@bp.blob_trigger(
    arg_name="upload",
    path=f"{UPLOADS}/{{name}}",
    connection="AzureWebJobsStorage",
    source=func.BlobSource.EVENT_GRID
    if image_settings().blob_trigger_source == "EventGrid"
    else func.BlobSource.LOGS_AND_CONTAINER_SCAN,
)
def validate_image(upload: func.InputStream) -> None:
    """Turn an upload into the package's WebP images, or refuse it with a reason."""
    with job("validate_image"):
        assert upload.name is not None
        # For an empty blob the runtime gives no length.
        validate_upload(upload.name.partition("/")[2], upload.read, size=upload.length or 0, now=utc_now())


@bp.function_name("clean_uploads")
@bp.timer_trigger(arg_name="timer", schedule=image_settings().uploads_schedule, use_monitor=False)
def clean_uploads(timer: func.TimerRequest) -> None:
    """Check uploads that wait or whose event was lost, refuse those that never arrived, and remove leftover files."""
    with job("clean_uploads"):
        clean(now=utc_now())
