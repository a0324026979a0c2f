from shared.kit.errors import InvalidInput, NotFound


class ImageRefused(InvalidInput):
    """This file can't be used as an image."""

    code = "image_refused"


class NoSuchUpload(NotFound):
    """There is no such upload for this package."""

    code = "upload_not_found"
