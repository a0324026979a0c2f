from shared.kit.errors import InvalidInput, NotFound


class ImageRefused(InvalidInput):
    """The file is not an image that can be used."""

    code = "image_refused"


class NoSuchUpload(NotFound):
    """There is no such upload for this package."""

    code = "upload_not_found"
