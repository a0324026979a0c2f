"""An image that is broken anywhere is refused with a reason; it never breaks the function that checks it (R-IMG-2)."""

import io
import struct
import time
import warnings
import zipfile
import zlib
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from shared.domain.images.errors import ImageRefused
from shared.domain.images.rules import WebImages, web_images
from tests.bench.image_validation import check_in_fresh_process

KINDS = ["JPEG", "PNG", "WEBP"]


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def picture(kind: str, mode: str = "RGB", size: tuple[int, int] = (64, 48), **options: Any) -> bytes:
    if mode == "RGB":
        exif = Image.Exif()
        exif[0x0112], exif[0x013B] = 6, "Somebody"
        options = {"exif": exif} | options
    return saved(Image.linear_gradient("L").resize(size).convert(mode), kind, **options)


def checked(data: bytes) -> WebImages | ImageRefused:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of odd EXIF; the app does not stop at warnings
        try:
            return web_images(data)
        except ImageRefused as refusal:
            return refusal


def shown(data: bytes, *, thumbnail: bool = False) -> Image.Image:
    """The result for an image that must be accepted."""
    made = checked(data)
    assert isinstance(made, WebImages), made
    result = Image.open(io.BytesIO(made.thumbnail if thumbnail else made.display))
    assert result.format == "WEBP"
    result.load()
    return result


def reason(data: bytes) -> str:
    """The reason why an image that must be refused is refused."""
    refusal = checked(data)
    assert isinstance(refusal, ImageRefused)
    return refusal.detail


def colour(image: Image.Image, x: int = 0, y: int = 0, mode: str = "RGB") -> Any:
    return image.convert(mode).getpixel((x, y))


def near(found: Any, wanted: tuple[int, ...], by: int = 6) -> bool:
    return all(abs(a - b) <= by for a, b in zip(found, wanted, strict=True))


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int, height: int, pixels: bytes, *, depth: int = 8, kind: int = 2, interlaced: bool = False) -> bytes:
    """A PNG made by hand, for features that Pillow can read but not write."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, int(interlaced)))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")


# --- broken ---------------------------------------------------------------------------------------------------------

SAMPLES = {
    **{kind: picture(kind) for kind in KINDS},
    "progressive": picture("JPEG", progressive=True),
    "palette": picture("PNG", "P"),
    "sixteen bits": picture("PNG", "I;16"),
    "CMYK": picture("JPEG", "CMYK"),
    "lossless": picture("WEBP", "RGBA", lossless=True),
    "with a profile": picture("JPEG", icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()),
    "moving": saved(
        Image.new("RGB", (9, 9)), "PNG", save_all=True, append_images=[Image.new("RGB", (9, 9), "red")], duration=9
    ),
}
SECONDS_AT_MOST = 5.0  # CPU seconds; the images are tiny and need some milliseconds


def test_whatever_is_changed_in_an_image_it_is_used_or_refused():
    outcomes = set()

    @settings(max_examples=500, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(data=st.data(), sample=st.sampled_from(sorted(SAMPLES)))
    def change_and_check(data: st.DataObject, sample: str) -> None:
        broken = damaged(SAMPLES[sample], data.draw)
        started = time.thread_time()
        outcomes.add(type(checked(broken)))
        assert time.thread_time() - started < SECONDS_AT_MOST

    change_and_check()
    assert outcomes == {WebImages, ImageRefused}


def damaged(whole: bytes, draw: Any) -> bytes:
    """The image with some bytes changed, most of them in its header; sometimes bytes are added or removed."""
    broken = bytearray(whole)
    where = st.one_of(st.integers(0, min(400, len(broken) - 1)), st.integers(0, len(broken) - 1))
    for at, value in draw(st.lists(st.tuples(where, st.integers(0, 255)), max_size=8)):
        broken[at] = value
    if draw(st.integers(0, 3)) == 0:
        at = draw(where)
        broken[at:at] = draw(st.binary(max_size=40))
    if draw(st.integers(0, 3)) == 0:
        first, last = sorted((draw(where), draw(where)))
        del broken[first:last]
    return bytes(broken)


@settings(max_examples=200, deadline=None)
@given(start=st.sampled_from([b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\x40\0\0\0WEBP", b""]), rest=st.binary())
def test_noise_behind_a_familiar_start_is_refused(start, rest):
    assert isinstance(checked(start + rest), ImageRefused)


@pytest.mark.parametrize("sample", ["JPEG", "PNG", "WEBP", "progressive", "CMYK"])
def test_an_image_cut_off_anywhere_is_refused(sample):
    whole = SAMPLES[sample]
    for length in range(0, len(whole) - 20, 7):
        assert reason(whole[:length]).endswith("."), length


def test_a_large_photo_cut_off_is_refused_though_it_is_decoded_at_a_fraction_of_its_size():
    whole = saved(Image.effect_noise((4000, 3000), 40), "JPEG", quality=60)
    for share in (0.2, 0.5, 0.9, 0.999):
        assert "damaged" in reason(whole[: int(len(whole) * share)])
    assert shown(whole).size == (1200, 900)


def test_a_file_of_exactly_five_megabytes_will_do():
    small = picture("JPEG")
    assert shown(small + bytes(5_000_000 - len(small))).size == (48, 64)


def test_a_file_of_five_megabytes_and_a_byte_is_refused_before_it_is_looked_at():
    assert "5,000,001 bytes" in reason(b"x" * 5_000_001)


# --- bombs ----------------------------------------------------------------------------------------------------------


def test_144_megapixels_in_a_small_file_are_refused_at_once_and_in_little_memory():
    bomb = saved(Image.new("1", (12_000, 12_000)), "PNG")
    assert len(bomb) < 30_000
    found = check_in_fresh_process(bomb)
    assert "12000 × 12000 pixels" in found["refused"]
    assert found["peak_mb"] < 60


@pytest.mark.parametrize(
    ("name", "start"), [(b"zTXt", b"Comment\0\0"), (b"iTXt", b"Comment\0\1\0\0\0"), (b"iCCP", b"p\0\0")]
)
def test_text_and_profiles_that_unpack_to_a_hundred_megabytes_do_not(name, start):
    plain = png(2, 2, bytes(14))
    bomb = plain[:33] + chunk(name, start + zlib.compress(bytes(100_000_000), 9)) + plain[33:]
    assert len(bomb) < 200_000
    found = check_in_fresh_process(bomb)
    assert found["peak_mb"] < 60


@pytest.mark.parametrize(
    ("kind", "options", "fits"),
    [("JPEG", {}, True), ("JPEG", {"progressive": True}, False), ("PNG", {}, False)],
    ids=["JPEG", "progressive JPEG", "PNG"],
)
def test_what_is_decoded_whole_may_have_half_the_pixels(kind, options, fits):
    data = saved(Image.new("L", (6000, 6000), 128), kind, **options)
    if fits:
        assert shown(data).size == (1200, 1200)
    else:
        assert "at most 25 million are allowed" in reason(data)


# --- nothing else of the file survives ------------------------------------------------------------------------------


def archive() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("payload.txt", "ATTACK")
    return out.getvalue()


PAYLOADS = {
    "a ZIP": archive(),
    "HTML": b"<html><script>alert('ATTACK')</script></html>",
    "PHP": b"<?php system($_GET['ATTACK']); ?>",
}


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_appended_to_an_image_does_not_survive(kind, payload):
    made = checked(picture(kind) + PAYLOADS[payload])
    assert isinstance(made, WebImages)
    for data in (made.display, made.thumbnail):
        assert PAYLOADS[payload] not in data
        assert b"ATTACK" not in data
        assert b"PK\3\4" not in data
        assert struct.unpack("<I", data[4:8])[0] + 8 == len(data)  # the file ends where it says


def test_what_is_hidden_in_an_image_does_not_survive():
    plain = picture("PNG")
    hidden = {
        "a comment": picture("JPEG", comment=PAYLOADS["PHP"]),
        "EXIF": picture("JPEG", exif=exif_with_a_place()),
        "XMP": picture("JPEG", xmp=b"<x:xmpmeta>ATTACK</x:xmpmeta>"),
        "a text": plain[:33] + chunk(b"tEXt", b"Comment\0" + PAYLOADS["HTML"]) + plain[33:],
        "a profile": picture("JPEG", icc_profile=b"ATTACK" * 100),
        "EXIF of a WebP": picture("WEBP", exif=exif_with_a_place()),
    }
    for what, data in hidden.items():
        assert b"ATTACK" in data, what
        made = checked(data)
        assert isinstance(made, WebImages), what
        for image in (made.display, made.thumbnail):
            assert b"ATTACK" not in image, what
            with Image.open(io.BytesIO(image)) as result:
                assert set(result.info) <= {"loop", "background", "timestamp", "duration"}, what
                assert dict(result.getexif()) == {}, what


def exif_with_a_place() -> Image.Exif:
    exif = Image.Exif()
    exif[0x013B] = "ATTACK"
    place = exif.get_ifd(0x8825)
    place[1], place[2], place[3], place[4] = "N", (51.0, 30.0, 26.0), "W", (0.0, 7.0, 39.0)
    return exif


def test_a_gif_that_is_a_script_is_refused():
    assert "not a JPG, PNG or WebP" in reason(b"GIF89a/*" + bytes(200) + b"*/=1;alert('ATTACK')//;")


# --- what is shown is what was meant --------------------------------------------------------------------------------


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
        ("WEBP", "RGBA"),
    ],
)
def test_every_way_to_store_colours_becomes_webp(kind, mode):
    data = picture(kind, mode)
    assert shown(data).size == shown(data, thumbnail=True).size == (64, 48)


def test_what_shines_through_stays_so():
    data = saved(Image.new("RGBA", (10, 10), (255, 0, 0, 0)), "PNG")
    assert colour(shown(data), 5, 5, "RGBA")[3] == 0


def test_a_palette_may_have_a_transparent_colour():
    image = Image.new("P", (20, 20), 1)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.paste(0, (0, 0, 10, 20))
    result = shown(saved(image, "PNG", transparency=0))
    assert colour(result, 2, 5, "RGBA")[3] == 0
    assert near(colour(result, 17, 5, "RGBA"), (0, 0, 255, 255))


def test_a_transparent_colour_without_a_palette_counts_too():
    image = Image.new("RGB", (20, 20), "blue")
    image.paste((0, 255, 0), (0, 0, 10, 20))
    result = shown(saved(image, "PNG", transparency=(0, 255, 0)))
    assert colour(result, 2, 5, "RGBA")[3] == 0
    assert near(colour(result, 17, 5, "RGBA"), (0, 0, 255, 255))


@pytest.mark.parametrize(("value", "wanted"), [(0, 0), (0x4000, 64), (0x8000, 128), (0xC000, 192), (0xFFFF, 255)])
def test_sixteen_bits_of_grey_become_eight_and_not_white(value, wanted):
    grey = Image.frombytes("I;16", (8, 8), struct.pack("<H", value) * 64)
    assert near(colour(shown(saved(grey, "PNG"))), (wanted,) * 3, by=2)


def test_sixteen_bits_a_colour_become_eight():
    row = b"\0" + struct.pack(">HHH", 0x8000, 0x2000, 0xFFFF) * 8
    assert near(colour(shown(png(8, 8, row * 8, depth=16))), (128, 32, 255))


@pytest.mark.parametrize(
    ("ink", "wanted"), [((0, 255, 255, 0), (255, 0, 0)), ((0, 0, 0, 255), (0, 0, 0)), ((0, 0, 0, 0), (255, 255, 255))]
)
def test_the_inks_of_a_printer_become_the_colours_they_print(ink, wanted):
    """Pillow writes CMYK as Adobe does: inverted, with a marker that says so."""
    data = saved(Image.new("CMYK", (32, 32), ink), "JPEG", quality=95)
    assert b"Adobe" in data
    assert near(colour(shown(data)), wanted)


def profile_with_red_and_green_swapped() -> bytes:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile.replace(b"rXYZ", b"????").replace(b"gXYZ", b"rXYZ").replace(b"????", b"gXYZ")


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_colours_are_carried_over_from_the_images_own_profile(mode):
    red = Image.new("RGB", (32, 32), (255, 0, 0)).convert(mode)
    swapped = profile_with_red_and_green_swapped()
    assert near(colour(shown(saved(red, "PNG", icc_profile=swapped))), (0, 255, 0), by=12)
    assert near(colour(shown(saved(red, "PNG"))), (255, 0, 0))


@pytest.mark.parametrize("profile", [b"rubbish" * 50, profile_with_red_and_green_swapped()[:200]])
def test_a_damaged_profile_says_nothing(profile):
    red = Image.new("RGB", (32, 32), (255, 0, 0))
    assert near(colour(shown(saved(red, "JPEG", icc_profile=profile, quality=95))), (255, 0, 0))


@pytest.mark.parametrize(("size", "seen"), [(1_000_000, (0, 255, 0)), (1_000_001, (255, 0, 0))])
def test_a_profile_of_up_to_a_megabyte_is_looked_at(size, seen):
    red = Image.new("RGB", (32, 32), (255, 0, 0))
    swapped = profile_with_red_and_green_swapped()
    profile = swapped + bytes(size - len(swapped))
    assert near(colour(shown(saved(red, "JPEG", icc_profile=profile, quality=95))), seen, by=12)


def test_a_profile_for_other_channels_says_nothing():
    grey = saved(Image.new("L", (32, 32), 100), "JPEG", icc_profile=profile_with_red_and_green_swapped(), quality=95)
    assert near(colour(shown(grey)), (100, 100, 100))


# Where a viewer sees the first row and the first column of the stored picture (EXIF 2.3, tag 0x0112).
SEEN_AT = {
    1: ("top", "left"),
    2: ("top", "right"),
    3: ("bottom", "right"),
    4: ("bottom", "left"),
    5: ("left", "top"),
    6: ("right", "top"),
    7: ("right", "bottom"),
    8: ("left", "bottom"),
}
OPPOSITE = {"top": "bottom", "bottom": "top", "left": "right", "right": "left"}
CORNERS = {"first first": "red", "first last": "lime", "last first": "blue", "last last": "white"}


@pytest.mark.parametrize("orientation", SEEN_AT)
@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_stands_upright_whichever_way_the_camera_was_held(kind, orientation):
    stored = Image.new("RGB", (128, 64))
    for corner, name in CORNERS.items():
        row, column = corner.split()
        left, top = 0 if column == "first" else 64, 0 if row == "first" else 32
        stored.paste(name, (left, top, left + 64, top + 32))
    exif = Image.Exif()
    exif[0x0112] = orientation
    result = shown(saved(stored, kind, exif=exif))
    assert result.size == ((128, 64) if orientation <= 4 else (64, 128))
    for corner, name in CORNERS.items():
        sides = {
            side if which == "first" else OPPOSITE[side]
            for which, side in zip(corner.split(), SEEN_AT[orientation], strict=True)
        }
        x = 5 if "left" in sides else result.width - 6
        y = 5 if "top" in sides else result.height - 6
        wanted = {"red": (255, 0, 0), "lime": (0, 255, 0), "blue": (0, 0, 255), "white": (255, 255, 255)}[name]
        assert near(colour(result, x, y), wanted, by=40), (corner, sides)


def test_an_orientation_that_does_not_exist_turns_nothing():
    exif = Image.Exif()
    exif[0x0112] = 77
    assert shown(saved(Image.new("RGB", (40, 20)), "JPEG", exif=exif)).size == (40, 20)


def interlaced_png(size: int, rgb: bytes) -> bytes:
    """Adam7: seven passes, each a small picture of its own."""
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    rows = [
        b"\0" + rgb * len(range(left, size, right))
        for left, top, right, down in passes
        for _ in range(top, size, down)
        if range(left, size, right)
    ]
    return png(size, size, b"".join(rows), interlaced=True)


def test_interlaced_and_progressive_pictures_are_whole():
    result = shown(interlaced_png(50, b"\xc8\x32\x0a"))
    assert result.size == (50, 50)
    assert all(near(colour(result, at, at), (200, 50, 10)) for at in (0, 7, 31, 49))
    grey = saved(Image.new("L", (1500, 1500), 77), "JPEG", progressive=True)
    assert near(colour(shown(grey), 1199, 1199), (77, 77, 77))


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_of_a_moving_picture_the_first_is_shown(kind):
    pictures = [Image.new("RGB", (30, 30), name) for name in ("red", "lime", "blue")]
    data = saved(pictures[0], kind, save_all=True, append_images=pictures[1:], duration=100)
    with Image.open(io.BytesIO(data)) as moving:
        assert getattr(moving, "n_frames", 1) == 3
    result = shown(data)
    assert getattr(result, "n_frames", 1) == 1
    assert near(colour(result, 15, 15), (255, 0, 0), by=10)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("size", "display", "thumbnail"),
    [
        ((1, 1), (1, 1), (1, 1)),
        ((1, 3000), (1, 1200), (1, 300)),
        ((16_000, 1), (1200, 1), (300, 1)),
        ((1201, 1199), (1200, 1198), (300, 300)),
    ],
)
def test_no_side_of_a_picture_becomes_nothing(size, display, thumbnail, kind):
    data = saved(Image.new("RGB", size, "red"), kind)
    assert (shown(data).size, shown(data, thumbnail=True).size) == (display, thumbnail)


def test_a_line_of_fifty_thousand_pixels_is_a_line():
    for kind in ("JPEG", "PNG"):
        data = saved(Image.new("L", (50_000, 1), 200), kind)
        assert shown(data).size == (1200, 1)
        assert shown(data, thumbnail=True).size == (300, 1)
