"""Uploads directly to storage, blob events that come twice or late, and what the timer repairs (R-IMG-1 to R-IMG-3)."""

import os
import signal
import subprocess
import sys
import uuid
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import httpx
import pytest
from azure.storage.blob import BlobServiceClient

from infra.local.home import REPOSITORY
from infra.local.services.azurite import allow_uploads_from_browsers
from shared.kit.actor import GUEST
from tests.architecture.application import load
from tests.factories import UNKNOWN_ID, assert_problem, at_once, open_evening
from tests.harness.clamd import StandInClamd
from tests.pictures import blobs, checked, outcome, photo, upload, upload_state

NEVER_ARRIVED = "The file never arrived."


@pytest.fixture
def evening(client, issuer):
    return open_evening(client, issuer)


@pytest.fixture
def package(evening):
    return evening.package()


@pytest.fixture
def domain(app_environment):
    """The domain in this process, on the same database and storage as the host."""
    names = ("commands", "checking", "cleaning", "uploads", "malware")
    yield SimpleNamespace(
        **{name: load(f"shared.domain.images.{name}", app_environment) for name in names},
        blobs=load("shared.kit.storage.blobs", app_environment),
        tables=load("shared.kit.storage.tables", app_environment),
    )
    load("shared.kit.db.engine", app_environment).engine().dispose()


def now() -> datetime:
    return datetime.now(UTC)


def clean(domain, later: timedelta) -> None:
    """Run the timer's work as if it were `later`, from the beginning of each container."""
    for container in ("uploads", "public"):
        domain.tables.delete_entity("sweeps", container, "place")
    domain.cleaning.clean_uploads(now=now() + later)
    for container in ("uploads", "public"):
        domain.tables.delete_entity("sweeps", container, "place")


def ask_for_link(evening, package):
    answer = evening.client.post(f"{evening.packages}/{package['id']}/image/upload-link", headers=evening.headers)
    assert answer.status_code == 201, answer.text
    return answer.json()


def send(link, data: bytes, **headers: str) -> httpx.Response:
    """Send the file as a browser or curl would, without any credentials but the link."""
    return httpx.request(
        link["method"], link["upload_url"], content=data, headers=link["headers"] | headers, trust_env=False
    )


def new_upload(domain, evening, package):
    return domain.uploads.Upload.new(evening.event_id, uuid.UUID(package["id"]))


def two_uploads(domain, evening, package):
    """Make an older and a newer upload; ids of the same millisecond have no order."""
    return sorted((new_upload(domain, evening, package) for _ in range(2)), key=lambda upload: upload.id)


def validate(domain, coming, data: bytes) -> None:
    """Handle one blob event with its content; the blob in the quarantine is not touched."""
    domain.checking.validate_upload(coming.blob_name, lambda: data, size=len(data), now=now())


# --- straight to storage --------------------------------------------------------------------------------------------


def test_an_image_sent_straight_to_storage_is_shown(evening, package, storage, poll):
    link = ask_for_link(evening, package)
    assert (link["status"], link["method"], link["max_bytes"]) == ("expected", "PUT", 5_000_000)
    assert link["headers"] == {"x-ms-blob-type": "BlockBlob"}
    left = datetime.fromisoformat(link["expires_at"]) - now()
    assert timedelta(minutes=9) < left <= timedelta(minutes=10)
    state = upload_state(evening, package, link["upload_id"])
    assert (state["status"], state["received_at"], state["malware_scan"]) == ("expected", None, None)
    assert evening.read_package(package["id"]) == package

    assert send(link, photo(), **{"Content-Type": "image/jpeg"}).status_code == 201
    ended = outcome(evening, package, link["upload_id"], poll)
    assert (ended["status"], ended["reason"], ended["malware_scan"]) == ("valid", None, "not_scanned")
    assert ended["requested_at"] <= ended["received_at"] <= ended["finished_at"]
    shown = evening.read_package(package["id"])
    assert httpx.get(shown["image_url"], trust_env=False).status_code == 200
    poll(lambda: blobs(storage, "uploads", package) == [])


def test_a_link_writes_one_blob_once_and_does_nothing_else(evening, package, storage, domain):
    """The blob is in a container that no function watches, so that no check removes it meanwhile."""
    name = f"{evening.id}/kept/{uuid.uuid4()}"
    url = domain.blobs.create_link("reports", name, now=now(), expiry=now() + timedelta(minutes=10))
    header = {"x-ms-blob-type": "BlockBlob"}
    with httpx.Client(trust_env=False, headers=header) as anybody:
        assert anybody.get(url).status_code == 403
        assert anybody.put(url, content=b"first").status_code == 201
        refused = {
            "a second time": anybody.put(url, content=b"second"),
            "reading": anybody.get(url),
            "looking": anybody.head(url),
            "deleting": anybody.delete(url),
            "tagging": anybody.put(f"{url}&comp=tags", content=b"<Tags><TagSet></TagSet></Tags>"),
            "describing": anybody.put(f"{url}&comp=metadata", headers={"x-ms-meta-a": "b"}),
            "another name": anybody.put(url.replace("?", "x?"), content=b"x"),
            "another container": anybody.put(url.replace("/reports/", "/public/"), content=b"x"),
            "listing": anybody.get(url.replace(f"/{name}?", "?restype=container&comp=list&")),
            "more rights": anybody.get(url.replace("sp=c", "sp=rc")),
            "a later end": anybody.put(url.replace("&se=2", "&se=3").replace(name, f"{name}y"), content=b"x"),
        }
    assert {what: answer.status_code for what, answer in refused.items()} == dict.fromkeys(refused, 403)
    assert domain.blobs.get_blob("reports", name) == b"first"


def test_a_link_that_has_expired_takes_nothing(domain):
    begun = now() - timedelta(minutes=11)
    url = domain.blobs.create_link("reports", f"late/{uuid.uuid4()}", now=begun, expiry=begun + timedelta(minutes=10))
    answer = httpx.put(url, content=b"x", headers={"x-ms-blob-type": "BlockBlob"}, trust_env=False)
    assert answer.status_code == 403


def test_a_link_used_again_after_the_verdict_changes_nothing(evening, package, storage, poll):
    link = ask_for_link(evening, package)
    assert send(link, photo()).status_code == 201
    ended = outcome(evening, package, link["upload_id"], poll)
    poll(lambda: blobs(storage, "uploads", package) == [])
    before = evening.read_package(package["id"])
    picture = httpx.get(before["image_url"], trust_env=False).content
    assert send(link, photo(500, 500)).status_code == 201  # the name is free again, but nothing else happens
    poll(lambda: blobs(storage, "uploads", package) == [])
    assert upload_state(evening, package, link["upload_id"]) == ended
    assert evening.read_package(package["id"]) == before
    assert httpx.get(before["image_url"], trust_env=False).content == picture


def test_a_file_too_large_is_refused_by_its_size(evening, package, storage, poll):
    link = ask_for_link(evening, package)
    assert send(link, b"\xff\xd8\xff" + b"x" * 5_000_000).status_code == 201
    ended = outcome(evening, package, link["upload_id"], poll)
    assert (ended["status"], ended["malware_scan"]) == ("refused", None)
    assert ended["reason"] == "The file has 5,000,003 bytes; an image may have at most 5,000,000."
    poll(lambda: blobs(storage, "uploads", package) == [])
    assert evening.read_package(package["id"]) == package


def test_a_file_too_large_is_not_even_read(domain, evening, package):
    coming = new_upload(domain, evening, package)

    def read() -> bytes:
        raise AssertionError("it was read")

    domain.checking.validate_upload(coming.blob_name, read, size=5_000_001, now=now())
    assert upload_state(evening, package, str(coming.id))["status"] == "refused"


def test_a_browser_may_use_a_link_where_the_storage_allows_it(second_storage):
    """These are the rules that `make dev` sets on the emulator; on Azure the account's own rules apply."""
    allow_uploads_from_browsers(second_storage)
    asking = {
        "Origin": "http://localhost:5173",
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "content-type,x-ms-blob-type",
    }
    with BlobServiceClient.from_connection_string(second_storage) as service:
        url = service.get_blob_client("uploads", "a").url
    answer = httpx.options(url, headers=asking, trust_env=False)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] in {"*", asking["Origin"]}
    refused = httpx.options(url, headers=asking | {"Access-Control-Request-Method": "GET"}, trust_env=False)
    assert refused.status_code == 403


def test_there_is_no_link_for_a_package_that_is_not_there(evening):
    path = f"{evening.packages}/{UNKNOWN_ID}/image/upload-link"
    assert_problem(evening.client.post(path, headers=evening.headers), 404, "package_not_found")


# --- what never arrives, and events that are lost -------------------------------------------------------------------


def test_what_never_arrives_is_refused_once_the_link_is_long_over(evening, package, domain):
    link = ask_for_link(evening, package)
    clean(domain, timedelta(minutes=14))
    assert upload_state(evening, package, link["upload_id"])["status"] == "expected"
    clean(domain, timedelta(minutes=16))
    ended = upload_state(evening, package, link["upload_id"])
    assert (ended["status"], ended["reason"], ended["malware_scan"]) == ("refused", NEVER_ARRIVED, None)
    assert domain.tables.get_entity("openuploads", "open", link["upload_id"]) is None
    clean(domain, timedelta(minutes=30))
    assert upload_state(evening, package, link["upload_id"]) == ended


def test_an_upload_whose_event_was_lost_is_checked_by_the_timer(evening, package, domain, monkeypatch):
    """The file is in another container than the one that the host watches; the timer is told to look there."""
    monkeypatch.setattr(domain.blobs, "UPLOADS", "lostuploads")
    received = domain.commands.receive_image(
        evening.event_id, uuid.UUID(package["id"]), photo(), content_type="image/jpeg", actor=GUEST, now=now()
    )
    clean(domain, timedelta(seconds=30))
    assert upload_state(evening, package, str(received.upload_id))["status"] == "received"
    clean(domain, timedelta(seconds=61))
    assert upload_state(evening, package, str(received.upload_id))["status"] == "valid"
    assert evening.read_package(package["id"])["image_url"] is not None
    assert domain.blobs.list_page("lostuploads", prefix="", size=5, marker=None) == ([], None)


def test_an_upload_whose_file_is_gone_says_so(evening, package, domain, monkeypatch):
    """Defender may be set to remove malware; or the upload's request failed half way."""
    monkeypatch.setattr(domain.blobs, "UPLOADS", "goneuploads")
    received = domain.commands.receive_image(
        evening.event_id, uuid.UUID(package["id"]), photo(), content_type="image/jpeg", actor=GUEST, now=now()
    )
    domain.blobs.delete_blob("goneuploads", f"{evening.id}/{package['id']}/{received.upload_id}")
    clean(domain, timedelta(seconds=61))
    ended = upload_state(evening, package, str(received.upload_id))
    assert ended["status"] == "refused"
    assert ended["reason"] == "The file is gone: its upload failed, or a malware scanner removed it."


def test_two_timers_at_once_check_an_upload_once(evening, package, domain, monkeypatch):
    monkeypatch.setattr(domain.blobs, "UPLOADS", "twiceuploads")
    package_id = uuid.UUID(package["id"])
    received = domain.commands.receive_image(
        evening.event_id, package_id, photo(), content_type="image/jpeg", actor=GUEST, now=now()
    )
    later = now() + timedelta(seconds=61)
    claims = at_once(4, lambda _: domain.uploads.claim_due(now=later, most=1000))
    assert [upload.id for claim in claims for upload in claim].count(received.upload_id) == 1
    mine = [upload for claim in claims for upload in claim if upload.id == received.upload_id]
    assert domain.uploads.claim_due(now=later + timedelta(minutes=1), most=1000) == []
    assert mine[0] in domain.uploads.claim_due(now=later + timedelta(minutes=3), most=1000)  # it was killed


def test_an_upload_that_breaks_the_function_does_not_keep_the_others_waiting(evening, domain, monkeypatch, poll):
    monkeypatch.setattr(domain.blobs, "UPLOADS", "badluck")
    first, second = evening.package(), evening.package()
    ids = [
        domain.commands.receive_image(
            evening.event_id, uuid.UUID(package["id"]), photo(), content_type="image/jpeg", actor=GUEST, now=now()
        ).upload_id
        for package in (first, second)
    ]
    real = domain.checking.web_images

    def break_once(data: bytes):
        monkeypatch.setattr(domain.checking, "web_images", real)
        raise MemoryError

    monkeypatch.setattr(domain.checking, "web_images", break_once)
    clean(domain, timedelta(seconds=61))
    assert upload_state(evening, first, str(ids[0]))["status"] == "received"
    assert upload_state(evening, second, str(ids[1]))["status"] == "valid"
    clean(domain, timedelta(minutes=4))
    assert upload_state(evening, first, str(ids[0]))["status"] == "valid"


def test_what_could_not_be_checked_for_a_day_is_refused(evening, package, domain, monkeypatch):
    monkeypatch.setattr(domain.blobs, "UPLOADS", "oldupload")
    received = domain.commands.receive_image(
        evening.event_id, uuid.UUID(package["id"]), photo(), content_type="image/jpeg", actor=GUEST, now=now()
    )
    domain.blobs.put_blob("oldupload", "no/name/of ours", b"x", content_type="text/plain")

    def never(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(domain.checking, "web_images", never)
    clean_old = domain.cleaning._remove_unchecked
    found, _ = domain.blobs.list_page("oldupload", prefix="", size=10, marker=None)
    clean_old(found, now() + timedelta(hours=23))
    assert len(domain.blobs.list_page("oldupload", prefix="", size=10, marker=None)[0]) == 2
    clean_old(found, now() + timedelta(hours=25))
    assert domain.blobs.list_page("oldupload", prefix="", size=10, marker=None)[0] == []
    ended = upload_state(evening, package, str(received.upload_id))
    assert (ended["status"], ended["reason"]) == ("refused", "The file could not be checked; upload it again.")


def test_a_scanner_silent_for_half_an_hour_ends_the_upload(evening, package, domain, monkeypatch):
    clamd = StandInClamd()
    clamd.says = ""
    clamd.start()
    scanned = domain.malware.image_settings().model_copy(
        update={"malware_scanner": "clamd", "clamd_host": "127.0.0.1", "clamd_port": clamd.port}
    )
    monkeypatch.setattr(domain.malware, "image_settings", lambda: scanned)
    coming, data = new_upload(domain, evening, package), photo()
    try:
        for minutes, status, scan in (
            (0, "received", "pending"),
            (29, "received", "pending"),
            (31, "refused", "not_scanned"),
        ):
            at = now() + timedelta(minutes=minutes)
            domain.checking.validate_upload(coming.blob_name, lambda: data, size=len(data), now=at)
            state = upload_state(evening, package, str(coming.id))
            assert (state["status"], state["malware_scan"]) == (status, scan)
        assert state["reason"] == "The file could not be scanned for malware; upload it again later."
        clamd.says = None
        validate(domain, coming, data)
        assert upload_state(evening, package, str(coming.id)) == state
        assert evening.read_package(package["id"]) == package
    finally:
        clamd.stop()


@pytest.mark.parametrize("tag", ["Not scanned", "SAM259201: Scan failed - internal service error."])
def test_defender_giving_up_ends_the_upload(tag, evening, package, domain, monkeypatch):
    defended = domain.malware.image_settings().model_copy(update={"malware_scanner": "defender"})
    monkeypatch.setattr(domain.malware, "image_settings", lambda: defended)
    monkeypatch.setattr(domain.blobs, "UPLOADS", "defended")
    coming = new_upload(domain, evening, package)
    domain.blobs.put_blob("defended", coming.blob_name, photo(), content_type="image/jpeg")
    domain.blobs.blob_service().get_blob_client("defended", coming.blob_name).set_blob_tags(
        {"Malware scanning scan result": tag}
    )
    validate(domain, coming, photo())
    state = upload_state(evening, package, str(coming.id))
    assert (state["status"], state["malware_scan"]) == ("refused", "not_scanned")
    assert domain.blobs.blob_info("defended", coming.blob_name) is None
    assert evening.read_package(package["id"]) == package


# --- twice, late, at once -------------------------------------------------------------------------------------------


def test_an_event_that_comes_again_changes_nothing(evening, package, domain, storage):
    coming = new_upload(domain, evening, package)
    validate(domain, coming, photo())
    before = evening.read_package(package["id"]), upload_state(evening, package, str(coming.id))
    picture = httpx.get(before[0]["image_url"], trust_env=False).content
    for data in (photo(), photo(400, 400), b"rubbish"):  # whatever its content is
        validate(domain, coming, data)
        assert (evening.read_package(package["id"]), upload_state(evening, package, str(coming.id))) == before
    assert httpx.get(before[0]["image_url"], trust_env=False).content == picture
    assert len(blobs(storage, "public", package)) == 2


def test_a_refusal_is_final_too(evening, package, domain):
    coming = new_upload(domain, evening, package)
    validate(domain, coming, b"rubbish")
    before = upload_state(evening, package, str(coming.id))
    assert before["status"] == "refused"
    validate(domain, coming, photo())
    domain.uploads.receive(coming, now=now())
    domain.uploads.await_verdict(coming, due_at=now())
    assert upload_state(evening, package, str(coming.id)) == before
    assert evening.read_package(package["id"]) == package


def test_an_event_that_comes_again_after_a_newer_image_changes_nothing(evening, package, domain, storage):
    older, newer = two_uploads(domain, evening, package)
    validate(domain, older, photo())
    validate(domain, newer, photo(800, 800))
    shown = evening.read_package(package["id"])
    validate(domain, older, photo())
    assert evening.read_package(package["id"]) == shown
    assert sorted(blobs(storage, "public", package)) == [
        f"{newer.public_folder}/display.webp",
        f"{newer.public_folder}/thumbnail.webp",
    ]


def test_an_older_image_whose_event_comes_late_is_not_shown_and_says_so(evening, package, domain, storage):
    older, newer = two_uploads(domain, evening, package)
    validate(domain, newer, photo(800, 800))
    shown = evening.read_package(package["id"])
    validate(domain, older, photo())
    assert evening.read_package(package["id"]) == shown
    assert all(str(newer.id) in name for name in blobs(storage, "public", package))
    state = upload_state(evening, package, str(older.id))
    assert (state["status"], state["reason"]) == ("valid", "Not shown: a newer image, or a removal, came after it.")


def test_validations_of_one_upload_at_once_show_it_once(evening, package, domain, storage):
    coming, data = new_upload(domain, evening, package), photo()
    at_once(4, lambda _: validate(domain, coming, data))
    state = upload_state(evening, package, str(coming.id))
    assert (state["status"], state["reason"]) == ("valid", None)
    shown = evening.read_package(package["id"])
    assert shown["version"] == package["version"] + 1
    assert httpx.get(shown["image_url"], trust_env=False).status_code == 200
    assert len(blobs(storage, "public", package)) == 2


def test_validations_of_many_uploads_at_once_show_the_newest(evening, package, domain, storage):
    coming, data = [new_upload(domain, evening, package) for _ in range(4)], photo(300, 200)
    at_once(4, lambda number: validate(domain, coming[number], data))
    newest = max(coming, key=lambda upload: upload.id)
    assert str(newest.id) in evening.read_package(package["id"])["image_url"]
    assert all(str(newest.id) in name for name in blobs(storage, "public", package))


def test_the_image_of_a_package_deleted_meanwhile_goes_with_it(evening, package, domain, storage):
    coming = new_upload(domain, evening, package)
    answer = evening.client.delete(f"{evening.packages}/{package['id']}?confirm=true", headers=evening.headers)
    assert answer.status_code == 204
    validate(domain, coming, photo())
    assert blobs(storage, "public", package) == []
    assert upload_state(evening, package, str(coming.id))["status"] == "valid"


def test_a_validation_writes_the_moment_that_it_was_given(evening, package, domain):
    coming, data, at = new_upload(domain, evening, package), photo(), now() + timedelta(minutes=3)
    domain.checking.validate_upload(coming.blob_name, lambda: data, size=len(data), now=at)
    ended = upload_state(evening, package, str(coming.id))
    assert [datetime.fromisoformat(ended[name]) for name in ("received_at", "finished_at")] == [at, at]
    assert datetime.fromisoformat(evening.read_package(package["id"])["updated_at"]) == at


def test_an_image_shown_while_somebody_else_refused_it_is_taken_back(evening, package, domain, storage, monkeypatch):
    coming, real = new_upload(domain, evening, package), domain.checking._show

    def refused_meanwhile(*arguments, **named):
        shown = real(*arguments, **named)
        domain.uploads.finish(coming, "refused", reason="Malware.", scan="malicious", now=now())
        return shown

    monkeypatch.setattr(domain.checking, "_show", refused_meanwhile)
    validate(domain, coming, photo())
    assert evening.read_package(package["id"])["image_url"] is None
    assert blobs(storage, "public", package) == []
    assert upload_state(evening, package, str(coming.id))["malware_scan"] == "malicious"


# --- killed in the middle -------------------------------------------------------------------------------------------


class Killed(BaseException):
    """Stands for the death of the process: no code of ours catches it."""


def die(*_: object, **__: object) -> None:
    raise Killed


@pytest.mark.parametrize("step", ["_show", "leave_quarantine"])
def test_a_validation_killed_half_way_is_made_good_by_the_next(step, evening, package, domain, storage, monkeypatch):
    coming = new_upload(domain, evening, package)
    with monkeypatch.context() as killed:
        killed.setattr(domain.checking, step, die)
        with pytest.raises(Killed):
            validate(domain, coming, photo())
    validate(domain, coming, photo())
    shown = evening.read_package(package["id"])
    assert httpx.get(shown["image_url"], trust_env=False).status_code == 200
    assert upload_state(evening, package, str(coming.id))["status"] == "valid"
    assert len(blobs(storage, "public", package)) == 2


DIES_BEFORE_ITS_COMMIT = """
import os, signal, sys
from shared.domain.images.checking import validate_upload
from shared.kit.clock import utc_now
from shared.kit.db.unit_of_work import UnitOfWork
UnitOfWork.commit = lambda self: os.kill(os.getpid(), signal.SIGKILL)
data = sys.stdin.buffer.read()
validate_upload(sys.argv[1], lambda: data, size=len(data), now=utc_now())
"""


def test_a_process_killed_between_publishing_and_the_commit_leaves_nothing_half_done(
    evening, package, domain, storage, app_environment
):
    coming, data = new_upload(domain, evening, package), photo()
    died = subprocess.run(
        [sys.executable, "-c", DIES_BEFORE_ITS_COMMIT, coming.blob_name],
        input=data,
        env=os.environ | app_environment,
        cwd=REPOSITORY,
        check=False,
    )
    assert died.returncode == -signal.SIGKILL
    assert len(blobs(storage, "public", package)) == 2
    assert evening.read_package(package["id"]) == package
    assert upload_state(evening, package, str(coming.id))["status"] == "received"
    validate(domain, coming, data)
    shown = evening.read_package(package["id"])
    assert httpx.get(shown["image_url"], trust_env=False).status_code == 200
    assert upload_state(evening, package, str(coming.id))["status"] == "valid"
    assert len(blobs(storage, "public", package)) == 2


def test_what_a_killed_validation_has_published_is_removed_when_nothing_shows_it(
    evening, package, domain, storage, monkeypatch
):
    validate(domain, new_upload(domain, evening, package), photo())
    shown = evening.read_package(package["id"])
    killed_one = new_upload(domain, evening, package)
    with monkeypatch.context() as killed:
        killed.setattr(domain.checking, "_show", die)
        with pytest.raises(Killed):
            validate(domain, killed_one, photo(400, 400))
    assert len(blobs(storage, "public", package)) == 4
    clean(domain, timedelta(minutes=50))  # another run might still be at work
    assert len(blobs(storage, "public", package)) == 4
    clean(domain, timedelta(minutes=70))
    assert len(blobs(storage, "public", package)) == 2
    assert evening.read_package(package["id"]) == shown
    for url in (shown["image_url"], shown["thumbnail_url"]):
        assert httpx.get(url, trust_env=False).status_code == 200


def test_the_sweep_takes_page_after_page_and_leaves_other_files_alone(evening, domain, storage, monkeypatch):
    monkeypatch.setattr(domain.cleaning, "_BLOBS_A_PAGE", 2)
    packages = [evening.package() for _ in range(3)]
    for package in packages[:2]:
        validate(domain, new_upload(domain, evening, package), photo(300, 200))
    left = new_upload(domain, evening, packages[2])
    for name in (f"{left.public_folder}/display.webp", "images/readme.txt", f"logos/{left.id}/a.webp"):
        domain.blobs.put_blob("public", name, b"x", content_type="image/webp")
    domain.tables.delete_entity("sweeps", "public", "place")
    at = now() + timedelta(hours=2)
    for _ in range(200):
        domain.cleaning._sweep("public", "images/", domain.cleaning._remove_unshown, now=at)
        place = domain.tables.get_entity("sweeps", "public", "place")
        if "marker" not in place:
            break
        before = domain.tables.get_entity("sweeps", "public", "place")
        domain.cleaning._sweep("public", "images/", domain.cleaning._remove_unshown, now=at)
        assert domain.tables.get_entity("sweeps", "public", "place") == before  # a minute has to pass
        at += timedelta(minutes=1)
    domain.tables.delete_entity("sweeps", "public", "place")
    assert [len(blobs(storage, "public", package)) for package in packages] == [2, 2, 0]
    assert domain.blobs.get_blob("public", "images/readme.txt") == b"x"
    assert domain.blobs.get_blob("public", f"logos/{left.id}/a.webp") == b"x"


def test_a_blob_written_anew_since_the_sweep_looked_stays(domain):
    name = f"images/{uuid.uuid4()}"
    domain.blobs.put_blob("public", name, b"old", content_type="image/webp")
    seen = domain.blobs.blob_info("public", name)
    domain.blobs.put_blob("public", name, b"new", content_type="image/webp")
    domain.blobs.delete_blob("public", name, only=seen)
    assert domain.blobs.get_blob("public", name) == b"new"
    [listed] = domain.blobs.list_page("public", prefix=name, size=5, marker=None)[0]
    domain.blobs.delete_blob("public", name, only=listed)
    assert domain.blobs.get_blob("public", name) is None


def test_an_upload_and_its_removal_through_the_api_leave_nothing(evening, package, storage, poll):
    assert checked(evening, package, photo(), poll)["status"] == "valid"
    upload_id = upload(evening, package, photo(500, 300)).json()["upload_id"]
    outcome(evening, package, upload_id, poll)
    path = f"{evening.packages}/{package['id']}/image"
    assert evening.client.delete(path, headers=evening.headers).status_code == 204
    assert (blobs(storage, "uploads", package), blobs(storage, "public", package)) == ([], [])
    with BlobServiceClient.from_connection_string(storage) as service:
        assert service.get_container_client("uploads").get_container_access_policy()["public_access"] is None
