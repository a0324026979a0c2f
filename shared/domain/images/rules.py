"""What an uploaded image must be, and which images are made from it (R-IMG-1, R-IMG-2). Pure: bytes in, bytes out."""

import io
import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.domain.images.errors import ImageRefused

if TYPE_CHECKING:
    from PIL.Image import Image as Picture
    from PIL.Image import Transpose
    from PIL.ImageFile import ImageFile

log = logging.getLogger(__name__)

MAX_BYTES = 5_000_000
# The memory that decoding takes sets these limits. A JPEG is decoded at a fraction of its size. The other formats are
# decoded only whole, and so is a progressive JPEG, in libjpeg's own memory.
MAX_PIXELS = 50_000_000
MAX_PIXELS_DECODED_WHOLE = 25_000_000
FORMATS = ("JPEG", "PNG", "WEBP")
DISPLAY_WIDTH = 1200
THUMBNAIL_WIDTH = 300
_MAX_PROFILE_BYTES = 1_000_000


def too_large(size: int) -> ImageRefused:
    """Return the refusal of a file of `size` bytes."""
    return ImageRefused(f"The file has {size:,} bytes; an image may have at most {MAX_BYTES:,}.")


@dataclass(frozen=True, slots=True)
class WebImages:
    """An image in the two sizes that pages show, as WebP without metadata."""

    display: bytes
    thumbnail: bytes


def web_images(data: bytes) -> WebImages:
    """Return the image in two sizes, upright and in sRGB; an animation gives its first picture.

    Raises `ImageRefused` with a reason that a coordinator understands. The content decides the format, not the name.
    Nothing is decoded before the size in the header has been checked: a file of 30 KB can unpack to hundreds of
    megabytes. The decoded pixels are written to new files, so that nothing else of the upload survives: no metadata,
    and nothing that was hidden in it or appended to it.
    """
    if len(data) > MAX_BYTES:
        raise too_large(len(data))
    display = _decoded(data)
    thumbnail = display.copy()
    thumbnail.thumbnail((THUMBNAIL_WIDTH, THUMBNAIL_WIDTH))
    return WebImages(display=_webp(display), thumbnail=_webp(thumbnail))


def _decoded(data: bytes) -> "Picture":
    """Return the picture at most `DISPLAY_WIDTH` wide and high, as RGB or RGBA."""
    from PIL import Image, UnidentifiedImageError, WebPImagePlugin  # noqa: PLC0415 - only the image function needs it

    assert WebPImagePlugin.SUPPORTED  # imported here, because Pillow imports forty formats to find it

    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            _check_size(image)
            # A JPEG can be decoded straight to a smaller size, down to an eighth, in a fraction of the time and memory.
            shrink = max(1.0, max(image.size) / (DISPLAY_WIDTH * 2))
            image.draft(None, (max(1, int(image.width / shrink)), max(1, int(image.height / shrink))))
            image.load()
            turned, profile = _orientation(image), image.info.get("icc_profile")
            small = _plain(image)
            small.thumbnail((DISPLAY_WIDTH, DISPLAY_WIDTH), reducing_gap=2.0)
    except ImageRefused:
        raise
    except UnidentifiedImageError:
        raise ImageRefused("The file is not a JPG, PNG or WebP image, even if its name says so.") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ImageRefused("The image has too many pixels.") from None
    except Exception as error:  # a hostile file can make a decoder raise anything
        log.info("A damaged image was refused (%s)", type(error).__name__)
        raise ImageRefused("The image is damaged and can't be read to its end.") from error
    upright = _in_srgb(small, profile)
    return upright if turned is None else upright.transpose(turned)


def _check_size(image: "ImageFile") -> None:
    width, height = image.size
    whole = image.format not in {"JPEG", "MPO"} or "progressive" in image.info
    most = MAX_PIXELS_DECODED_WHOLE if whole else MAX_PIXELS
    if width * height > most:
        raise ImageRefused(
            f"The image has {width} × {height} pixels, but at most {most // 1_000_000} million are allowed."
        )


def _plain(image: "Picture") -> "Picture":
    """Return the pixels with eight bits a channel, as L, RGB, RGBA or CMYK."""
    if image.mode.startswith("I") or image.mode == "F":  # sixteen bits: without scaling, Pillow clips them to white
        return image.point(lambda value: value * (1 / 257) + 0.5).convert("L")
    if "transparency" in image.info or image.mode in {"LA", "PA", "La", "RGBa"}:
        return image.convert("RGBA")
    return image if image.mode in {"L", "RGB", "RGBA", "CMYK"} else image.convert("RGB")


def _orientation(image: "Picture") -> "Transpose | None":
    """Return what turns the picture upright (EXIF 2.3 §4.6.4, tag 0x0112); None if it is upright or has no tag."""
    from PIL.Image import Transpose  # noqa: PLC0415

    turns = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    with suppress(Exception):  # damaged metadata must not spoil the picture
        return turns.get(image.getexif().get(0x0112, 1))
    return None


def _in_srgb(image: "Picture", profile: object) -> "Picture":
    """Return the picture as RGB or RGBA, its colours converted from its own profile to sRGB, as browsers assume."""
    from PIL import ImageCms  # noqa: PLC0415

    if isinstance(profile, bytes) and 0 < len(profile) <= _MAX_PROFILE_BYTES:
        mode = "RGBA" if image.mode == "RGBA" else "RGB"
        with suppress(Exception):  # a profile that is damaged, or made for other channels, is left out
            own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(image, own, ImageCms.createProfile("sRGB"), outputMode=mode)
            if converted is not None:
                return converted
    return image if image.mode in {"RGB", "RGBA"} else image.convert("RGB")


def _webp(image: "Picture") -> bytes:
    out = io.BytesIO()
    image.save(out, "WEBP", quality=82, method=4)  # a new file: no EXIF, no profile, no location
    return out.getvalue()
