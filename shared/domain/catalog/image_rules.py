"""What an uploaded image must be, and what is made of it (R-IMG-1, R-IMG-2). Pure: bytes in, bytes out."""

import io
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.kit.errors import InvalidInput

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

MAX_BYTES = 5_000_000
MAX_PIXELS = 50_000_000
FORMATS = ("JPEG", "PNG", "WEBP")
DISPLAY_WIDTH = 1200
THUMBNAIL_WIDTH = 300


class ImageRefused(InvalidInput):
    """The file is not an image that can be used."""

    code = "image_refused"


def too_large(size: int) -> ImageRefused:
    """The refusal of a file of `size` bytes."""
    return ImageRefused(f"The file has {size:,} bytes; an image may have at most {MAX_BYTES:,}.")


@dataclass(frozen=True, slots=True)
class WebImages:
    """An image in the two sizes that pages show, as WebP without metadata."""

    display: bytes
    thumbnail: bytes


def web_images(data: bytes) -> WebImages:
    """Return the image in two sizes; raises `ImageRefused` with a reason that a coordinator understands.

    The format is told by the content, not by the name. Nothing is decoded before the header's size has been checked: a
    file of 30 KB can unpack to hundreds of megabytes.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError  # noqa: PLC0415 - only the image function needs it

    if len(data) > MAX_BYTES:
        raise too_large(len(data))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                width, height = image.size
                if width * height > MAX_PIXELS:
                    raise ImageRefused(f"The image has {width} × {height} pixels; that is too many.")
                # JPEG can be decoded at an eighth of its size already, in a fraction of the time and memory.
                image.draft("RGB", (DISPLAY_WIDTH * 2, DISPLAY_WIDTH * 2))
                upright = ImageOps.exif_transpose(image)
                plain = upright.convert(
                    "RGBA" if "A" in upright.getbands() or "transparency" in upright.info else "RGB"
                )
    except UnidentifiedImageError:
        raise ImageRefused("The file is not a JPG, PNG or WebP image, whatever its name says.") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ImageRefused("The image has too many pixels.") from None
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise ImageRefused("The image is damaged and can't be read to its end.") from error
    display = _fit(plain, DISPLAY_WIDTH)
    return WebImages(display=_webp(display), thumbnail=_webp(_fit(display, THUMBNAIL_WIDTH)))


def _fit(image: "Picture", width: int) -> "Picture":
    copy = image.copy()
    copy.thumbnail((width, width), reducing_gap=2.0)
    return copy


def _webp(image: "Picture") -> bytes:
    out = io.BytesIO()
    image.save(out, "WEBP", quality=82, method=4)  # a new file: no EXIF, no profile, no place
    return out.getvalue()
