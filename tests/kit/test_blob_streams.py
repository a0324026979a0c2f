"""A blob that is written from chunks: it is written whole or not at all, in bounded memory, whatever fails."""

import threading
import uuid

import pytest

from tests.architecture.application import load
from tests.harness.polling import PATIENCE_SECONDS

BLOCK = 1_000
TEXT = "text/plain"


@pytest.fixture
def blobs(app_environment, monkeypatch):
    blobs = load("shared.kit.storage.blobs", app_environment)
    monkeypatch.setattr(blobs, "_BLOCK_BYTES", BLOCK)
    return blobs


@pytest.fixture
def name():
    return f"streams/{uuid.uuid4().hex}"


def sends(blobs):
    """The class of the clients that send."""
    return type(blobs.blob_service().get_blob_client(blobs.REPORTS, "any"))


def noting(sent, method, send):
    def note_and_send(*what, **how):
        sent.append(method)
        return send(*what, **how)

    return note_and_send


@pytest.mark.parametrize(
    ("sizes", "requests"),
    [
        ([], ["upload_blob"]),
        ([BLOCK - 1], ["upload_blob"]),
        ([400, 400, 199], ["upload_blob"]),
        ([BLOCK], ["stage_block", "commit_block_list"]),
        ([400, 400, 400], ["stage_block", "commit_block_list"]),
        ([BLOCK] * 3, ["stage_block"] * 3 + ["commit_block_list"]),
        ([700] * 5, ["stage_block"] * 3 + ["commit_block_list"]),
        ([3 * BLOCK, 1], ["stage_block", "stage_block", "commit_block_list"]),
    ],
)
def test_what_fits_into_a_block_goes_by_one_request_and_the_rest_in_order(sizes, requests, blobs, name, monkeypatch):
    sent: list[str] = []
    client = sends(blobs)
    for method in ("upload_blob", "stage_block", "commit_block_list"):
        monkeypatch.setattr(client, method, noting(sent, method, getattr(client, method)))
    blobs.put_blob(blobs.REPORTS, name, b"older", content_type=TEXT)
    chunks = [bytes([65 + number]) * size for number, size in enumerate(sizes)]
    sent.clear()
    blobs.put_stream(blobs.REPORTS, name, iter(chunks), content_type=TEXT)
    assert sent == requests
    assert blobs.get_blob(blobs.REPORTS, name) == b"".join(chunks)


@pytest.mark.parametrize("fails_at", [1, 2, 4])
def test_a_block_that_can_not_be_sent_fails_the_whole(fails_at, blobs, name, monkeypatch):
    client, count = sends(blobs), iter(range(1, 100))
    stage = client.stage_block

    def stage_block(*what, **how):
        if next(count) == fails_at:
            raise OSError("the storage has gone")
        return stage(*what, **how)

    monkeypatch.setattr(client, "stage_block", stage_block)
    with pytest.raises(OSError, match="the storage has gone"):
        blobs.put_stream(blobs.REPORTS, name, (b"x" * 600 for _ in range(8)), content_type=TEXT)
    assert blobs.get_blob(blobs.REPORTS, name) is None


def test_chunks_that_break_off_leave_the_older_file(blobs, name):
    def breaking_off():
        yield from [b"new" * 500] * 3
        raise ValueError("no more rows")

    blobs.put_blob(blobs.REPORTS, name, b"older", content_type=TEXT)
    with pytest.raises(ValueError, match="no more rows"):
        blobs.put_stream(blobs.REPORTS, name, breaking_off(), content_type=TEXT)
    assert blobs.get_blob(blobs.REPORTS, name) == b"older"


def test_while_a_block_is_being_sent_one_more_is_gathered_and_no_third(blobs, name, monkeypatch):
    client, gathered = sends(blobs), 0
    stage, two_are_there = client.stage_block, threading.Event()
    largest: list[int] = []

    def stage_block(*what, **how):
        assert two_are_there.wait(PATIENCE_SECONDS), "the next block is not gathered meanwhile"
        answer = stage(*what, **how)
        largest.append(gathered)
        return answer

    def chunks():
        nonlocal gathered
        for _ in range(30):
            gathered += 100
            if gathered == 2 * BLOCK:
                two_are_there.set()
            yield b"x" * 100

    monkeypatch.setattr(client, "stage_block", stage_block)
    blobs.put_stream(blobs.REPORTS, name, chunks(), content_type=TEXT)
    assert len(blobs.get_blob(blobs.REPORTS, name)) == 3 * BLOCK
    assert all(seen <= (number + 2) * BLOCK for number, seen in enumerate(largest))
