"""An image that is broken anywhere is refused with a reason; it never breaks the function that checks it."""

import io
import random
import warnings

import pytest
from PIL import Image

from shared.domain.catalog.image_rules import ImageRefused, WebImages, web_images


def picture(kind: str, mode: str = "RGB") -> bytes:
    out = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112], exif[0x013B] = 6, "Somebody"
    options = {"exif": exif} if mode == "RGB" else {}
    Image.linear_gradient("L").resize((64, 48)).convert(mode).save(out, kind, **options)
    return out.getvalue()


def checked(data: bytes) -> WebImages | ImageRefused:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of odd EXIF; the app does not stop at warnings
        try:
            return web_images(data)
        except ImageRefused as refusal:
            return refusal


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_an_image_with_some_bytes_changed_is_used_or_refused(kind):
    whole, chance = picture(kind), random.Random(kind)
    outcomes = set()
    for _ in range(400):
        broken = bytearray(whole)
        for _ in range(chance.randint(1, 8)):
            broken[chance.randrange(min(len(broken), 400) if chance.random() < 0.7 else len(broken))] = (
                chance.randrange(256)
            )
        outcomes.add(type(checked(bytes(broken))))
    assert outcomes == {WebImages, ImageRefused}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_an_image_cut_off_anywhere_is_refused(kind):
    whole = picture(kind)
    for length in range(0, len(whole) - 20, 7):
        refusal = checked(whole[:length])
        assert isinstance(refusal, ImageRefused), length
        assert refusal.detail.endswith(".")


@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        ("PNG", "1"),
        ("PNG", "L"),
        ("PNG", "LA"),
        ("PNG", "P"),
        ("PNG", "RGBA"),
        ("PNG", "I;16"),
        ("JPEG", "CMYK"),
        ("JPEG", "L"),
    ],
)
def test_every_way_to_store_colours_becomes_webp(kind, mode):
    made = checked(picture(kind, mode))
    assert isinstance(made, WebImages)
    for data in (made.display, made.thumbnail):
        with Image.open(io.BytesIO(data)) as shown:
            assert (shown.format, shown.size) == ("WEBP", (64, 48))


def test_what_shines_through_stays_so():
    out = io.BytesIO()
    Image.new("RGBA", (10, 10), (255, 0, 0, 0)).save(out, "PNG")
    made = checked(out.getvalue())
    assert isinstance(made, WebImages)
    with Image.open(io.BytesIO(made.display)) as shown:
        assert shown.convert("RGBA").getpixel((5, 5))[3] == 0  # type: ignore[index]


def test_a_file_of_five_megabytes_and_a_byte_is_refused_before_it_is_looked_at():
    refusal = checked(b"x" * 5_000_001)
    assert isinstance(refusal, ImageRefused)
    assert "5,000,001 bytes" in refusal.detail
