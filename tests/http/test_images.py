"""Package images (R-IMG): each is put in quarantine, checked, and shown as WebP without metadata or refused."""

import io
import struct
import zlib

import httpx
import pytest
from azure.storage.blob import BlobServiceClient
from PIL import Image

from tests.factories import UNKNOWN_ID, assert_problem, open_evening
from tests.pictures import blobs, checked, outcome, photo, upload


@pytest.fixture
def evening(client, issuer):
    return open_evening(client, issuer)


@pytest.fixture
def package(evening):
    return evening.package()


def photo_with_a_place() -> bytes:
    """A JPEG whose metadata tell where and by whom it was taken, and that it must be turned."""
    exif = Image.Exif()
    exif[0x0112] = 6  # turn it by a quarter
    exif[0x013B] = "A. Secret Photographer"
    exif.get_ifd(0x8825)[2] = (51.0, 30.0, 26.0)
    data = photo(exif=exif, comment=b"taken at home")
    assert b"Secret Photographer" in data
    return data


def test_an_image_is_shown_in_two_sizes_without_its_secrets(evening, package, storage, poll):
    ended = checked(evening, package, photo_with_a_place(), poll)
    assert (ended["status"], ended["reason"]) == ("valid", None)
    assert ended["received_at"] <= ended["finished_at"]
    shown = evening.read_package(package["id"])
    for url, size in ((shown["image_url"], (900, 1200)), (shown["thumbnail_url"], (225, 300))):
        opened = httpx.get(url, trust_env=False)  # without any credentials
        assert (opened.status_code, opened.headers["content-type"]) == (200, "image/webp")
        assert "immutable" in opened.headers["cache-control"]
        with Image.open(io.BytesIO(opened.content)) as picture:
            assert (picture.format, picture.size) == ("WEBP", size)  # turned upright
            assert dict(picture.getexif()) == {}
            assert picture.info.get("exif") is None
        for secret in (b"Secret Photographer", b"taken at home", b"Exif"):
            assert secret not in opened.content
    assert blobs(storage, "uploads", package) == []
    assert shown["version"] == 2


@pytest.mark.parametrize(
    ("kind", "width", "height", "display"), [("PNG", 300, 200, (300, 200)), ("WEBP", 1600, 3200, (600, 1200))]
)
def test_png_and_webp_will_do_and_small_images_are_not_blown_up(kind, width, height, display, evening, package, poll):
    assert checked(evening, package, photo(width, height, kind), poll, "picture.bin")["status"] == "valid"
    shown = httpx.get(evening.read_package(package["id"])["image_url"], trust_env=False)
    with Image.open(io.BytesIO(shown.content)) as picture:
        assert (picture.format, picture.size) == ("WEBP", display)


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_that_says_it_is(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 999)) + chunk(b"IEND", b"")
    )


def a_hundred_and_forty_four_megapixels() -> bytes:
    out = io.BytesIO()
    Image.new("1", (12_000, 12_000)).save(out, "PNG")
    assert len(out.getvalue()) < 30_000
    return out.getvalue()


REFUSED = {
    "a PDF by another name": (
        lambda: b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog >>\nendobj\n%%EOF",
        "not a JPG, PNG or WebP",
    ),
    "a GIF": (lambda: photo(100, 100, "GIF"), "not a JPG, PNG or WebP"),
    "an SVG": (lambda: b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', "not a JPG"),
    "nothing": (lambda: b"", "not a JPG, PNG or WebP"),
    "half a JPEG": (lambda: photo()[: len(photo()) // 2], "damaged"),
    "half a PNG": (lambda: photo(400, 400, "PNG")[:-200], "damaged"),
    "a bomb of 144 megapixels": (a_hundred_and_forty_four_megapixels, "at most 25 million"),
    "a bomb of 400 megapixels": (lambda: png_that_says_it_is(20_000, 20_000), "too many"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_usable_image_is_refused_with_a_reason_and_removed(what, evening, package, storage, poll):
    make, reason = REFUSED[what]
    ended = checked(evening, package, make(), poll, "holiday.jpg")
    assert ended["status"] == "refused"
    assert reason in ended["reason"]
    poll(lambda: blobs(storage, "uploads", package) == [])
    assert blobs(storage, "public", package) == []
    assert evening.read_package(package["id"]) == package


def test_an_image_that_is_also_a_page_is_shown_without_the_page(evening, package, poll):
    page = b"<html><script>alert(document.cookie)</script></html>"
    ended = checked(evening, package, photo(comment=page) + page, poll)
    assert ended["status"] == "valid"
    shown = evening.read_package(package["id"])
    for url in (shown["image_url"], shown["thumbnail_url"]):
        opened = httpx.get(url, trust_env=False)
        assert opened.headers["content-type"] == "image/webp"
        assert b"<script>" not in opened.content


def test_colours_of_print_and_sixteen_bits_arrive_as_they_look(evening, package, poll):
    grey = Image.frombytes("I;16", (40, 40), b"\0\x80" * 1600)
    ink = Image.new("CMYK", (40, 40), (0, 255, 255, 0))
    for image, kind, wanted in ((grey, "PNG", (128, 128, 128)), (ink, "JPEG", (255, 0, 0))):
        out = io.BytesIO()
        image.save(out, kind, quality=95)
        assert checked(evening, package, out.getvalue(), poll)["status"] == "valid"
        opened = httpx.get(evening.read_package(package["id"])["image_url"], trust_env=False)
        with Image.open(io.BytesIO(opened.content)) as picture:
            found = picture.convert("RGB").getpixel((20, 20))
        assert all(abs(a - b) <= 6 for a, b in zip(found, wanted, strict=True))  # type: ignore[arg-type]


def test_a_refused_image_leaves_the_one_that_is_shown(evening, package, poll):
    assert checked(evening, package, photo(), poll)["status"] == "valid"
    before = evening.read_package(package["id"])
    assert checked(evening, package, b"rubbish", poll)["status"] == "refused"
    assert evening.read_package(package["id"]) == before
    assert httpx.get(before["image_url"], trust_env=False).status_code == 200


def test_a_second_image_replaces_the_first_whose_files_vanish(evening, package, storage, poll):
    assert checked(evening, package, photo(), poll)["status"] == "valid"
    first = evening.read_package(package["id"])
    assert checked(evening, package, photo(800, 800), poll)["status"] == "valid"
    second = evening.read_package(package["id"])
    assert second["image_url"] != first["image_url"]
    assert httpx.get(second["image_url"], trust_env=False).status_code == 200
    for url in (first["image_url"], first["thumbnail_url"]):
        assert httpx.get(url, trust_env=False).status_code == 404
    assert len(blobs(storage, "public", package)) == 2


def test_a_removed_image_is_gone(evening, package, storage, poll):
    assert checked(evening, package, photo(), poll)["status"] == "valid"
    shown = evening.read_package(package["id"])
    path = f"{evening.packages}/{package['id']}/image"
    assert evening.client.delete(path, headers=evening.headers).status_code == 204
    bare = evening.read_package(package["id"])
    assert (bare["image_url"], bare["thumbnail_url"]) == (None, None)
    assert httpx.get(shown["image_url"], trust_env=False).status_code == 404
    assert blobs(storage, "public", package) == []
    assert evening.client.delete(path, headers=evening.headers).status_code == 204


def test_an_image_removed_before_it_was_checked_is_never_shown(evening, package, storage, poll):
    upload_id = upload(evening, package, photo()).json()["upload_id"]
    path = f"{evening.packages}/{package['id']}/image"
    assert evening.client.delete(path, headers=evening.headers).status_code == 204
    outcome(evening, package, upload_id, poll)
    assert evening.read_package(package["id"])["image_url"] is None
    poll(lambda: blobs(storage, "public", package) == [])


def test_buyers_see_the_image_too(evening, package, poll):
    assert checked(evening, package, photo(), poll)["status"] == "valid"
    listed = evening.client.get(f"/public/events/{evening.id}/ticket-packages").json()["items"]
    shown = evening.read_package(package["id"])
    assert [(found["image_url"], found["thumbnail_url"]) for found in listed] == [
        (shown["image_url"], shown["thumbnail_url"])
    ]


def test_an_upload_is_known_to_its_own_package_alone(client, issuer, evening, package):
    upload_id = upload(evening, package, b"x").json()["upload_id"]
    other = open_evening(client, issuer)
    for where, what, which in (
        (evening, evening.package(), upload_id),
        (evening, package, UNKNOWN_ID),
        (other, package, upload_id),
        (other, other.package(), upload_id),
    ):
        path = f"{where.packages}/{what['id']}/image/uploads/{which}"
        assert_problem(client.get(path, headers=where.headers), 404, "upload_not_found")


def test_an_upload_and_a_link_for_one_say_where_to_see_how_far_it_is(client, host, evening, package):
    link = client.post(f"{evening.packages}/{package['id']}/image/upload-link", headers=evening.headers)
    for answer in (upload(evening, package, b"x"), link):
        place = f"/api/v1{evening.packages}/{package['id']}/image/uploads/{answer.json()['upload_id']}"
        assert answer.headers["Location"] == place
        assert (
            client.get(f"{host.url}{place}", headers=evening.headers).json()["upload_id"] == answer.json()["upload_id"]
        )


def test_the_quarantine_is_private(evening, package, storage):
    upload_id = upload(evening, package, photo()).json()["upload_id"]
    with BlobServiceClient.from_connection_string(storage) as service:
        url = service.get_blob_client("uploads", f"{evening.id}/{package['id']}/{upload_id}").url
        listing = service.get_container_client("public").url
    assert httpx.get(url, trust_env=False).status_code in {403, 404, 409}
    assert httpx.get(f"{listing}?restype=container&comp=list", trust_env=False).status_code in {403, 404}


def test_the_audit_trail_tells_who_sent_and_who_removed_an_image(evening, package, poll):
    assert checked(evening, package, photo(), poll)["status"] == "valid"
    path = f"{evening.packages}/{package['id']}"
    assert evening.client.delete(f"{path}/image", headers=evening.headers).status_code == 204
    trail = evening.client.get(f"{path}/audit-trail", headers=evening.headers).json()["items"]
    told = [(entry["field"], entry["actor"]["email"]) for entry in trail]
    assert told == [("image", evening.coordinator), ("image", evening.coordinator), ("created", evening.coordinator)]
    removed, shown, _ = trail
    assert (shown["old_value"], removed["new_value"]) == (None, None)
    assert shown["new_value"] == removed["old_value"]
    assert shown["request_id"]
    assert evening.client.get(f"{evening.path}/audit-trail/verify", headers=evening.headers).json()["valid"] is True
