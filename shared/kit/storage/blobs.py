"""Blobs: containers that are made when needed, and links that expire soon."""

import hashlib
import logging
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from io import BytesIO
from typing import IO, TYPE_CHECKING, Any

from shared.kit.storage.account import StorageDown, blob_service, storage_errors

if TYPE_CHECKING:
    from azure.storage.blob import BlobSasPermissions

log = logging.getLogger(__name__)

PUBLIC = "public"
UPLOADS = "uploads"
REPORTS = "reports"
ARCHIVE = "archive"

_BLOCK_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class BlobInfo:
    """What a container's listing says about one blob."""

    name: str
    size: int
    written_at: datetime
    etag: str


class Measured:
    """Passes chunks on, and at the end knows the number of their bytes and their SHA-256."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = chunks
        self._sha256 = hashlib.sha256()
        self.bytes = 0

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            self.bytes += len(chunk)
            self._sha256.update(chunk)
            yield chunk

    @property
    def sha256(self) -> str:
        """The SHA-256 of the chunks that have been passed on, in hexadecimal."""
        return self._sha256.hexdigest()


@lru_cache(maxsize=16)
def ensure_container(name: str) -> None:
    """Make the container if it is missing; `public` is readable by name, all others are private."""
    from azure.core.exceptions import ResourceExistsError  # noqa: PLC0415

    with suppress(ResourceExistsError):
        blob_service().create_container(name, public_access="blob" if name == PUBLIC else None)


def put_blob(
    container: str,
    name: str,
    data: bytes,
    *,
    content_type: str,
    cache_control: str | None = None,
    metadata: dict[str, str] | None = None,
) -> None:
    """Write a blob, replacing an older one of that name."""
    from azure.storage.blob import ContentSettings  # noqa: PLC0415

    ensure_container(container)
    blob_service().get_blob_client(container, name).upload_blob(
        data,
        overwrite=True,
        metadata=metadata,
        content_settings=ContentSettings(content_type=content_type, cache_control=cache_control),
    )


def put_stream(container: str, name: str, chunks: Iterable[bytes], *, content_type: str) -> None:
    """Write a blob from chunks in bounded memory; it appears whole, at the end, or not at all.

    A blob that fits into one block is sent by a single request. A larger blob is sent as blocks: a thread sends each
    block while the next is gathered, so two blocks are in memory. Two writers may write the same bytes at the same
    time: blocks are numbered, so each writer's blocks are also among those that the other has committed.
    """
    from azure.storage.blob import BlobBlock, ContentSettings  # noqa: PLC0415

    ensure_container(container)
    client = blob_service().get_blob_client(container, name)
    content_settings = ContentSettings(content_type=content_type)
    staged: list[BlobBlock] = []

    def stage(block: BytesIO) -> None:
        staged.append(BlobBlock(block_id=f"{len(staged):08d}"))
        size = block.tell()
        block.seek(0)
        client.stage_block(staged[-1].id, block, length=size)  # sent from the buffer, without a copy

    with ThreadPoolExecutor(max_workers=1) as sender:
        sending: Future[None] | None = None
        for block in _blocks(chunks):
            if sending is not None:
                sending.result()
            elif block.tell() < _BLOCK_BYTES:  # the first block is also the last one
                client.upload_blob(block.getvalue(), overwrite=True, content_settings=content_settings)
                return
            sending = sender.submit(stage, block)
        assert sending is not None
        sending.result()
    client.commit_block_list(staged, content_settings=content_settings)


def _blocks(chunks: Iterable[bytes]) -> Iterator[BytesIO]:
    """Gather chunks into one or more blocks; only the last may be short, and only the first may be empty."""
    block, is_first = BytesIO(), True
    for chunk in chunks:
        block.write(chunk)
        if block.tell() >= _BLOCK_BYTES:
            yield block
            block, is_first = BytesIO(), False
    if block.tell() or is_first:
        yield block


def get_blob(container: str, name: str) -> bytes | None:
    """Return a blob's content, or None when there is no such blob."""
    from azure.core.exceptions import ResourceNotFoundError  # noqa: PLC0415

    try:
        return blob_service().get_blob_client(container, name).download_blob().readall()
    except ResourceNotFoundError:
        return None


def read_stream(container: str, name: str, into: IO[bytes]) -> Measured | None:
    """Copy a blob into a file in bounded memory, and measure it; None when there is no such blob."""
    from azure.core.exceptions import ResourceNotFoundError  # noqa: PLC0415

    try:
        download = blob_service().get_blob_client(container, name).download_blob()
    except ResourceNotFoundError:
        return None
    measured = Measured(download.chunks())
    for chunk in measured:
        into.write(chunk)
    return measured


def blob_info(container: str, name: str) -> BlobInfo | None:
    """Return what is known about a blob without reading it, or None when there is no such blob."""
    from azure.core.exceptions import ResourceNotFoundError  # noqa: PLC0415

    try:
        return _info(blob_service().get_blob_client(container, name).get_blob_properties())
    except ResourceNotFoundError:
        return None


def blob_tags(container: str, name: str) -> dict[str, str] | None:
    """Return a blob's index tags, or None when there is no such blob."""
    from azure.core.exceptions import ResourceNotFoundError  # noqa: PLC0415

    try:
        return blob_service().get_blob_client(container, name).get_blob_tags()
    except ResourceNotFoundError:
        return None


def list_page(container: str, *, prefix: str, size: int, marker: str | None) -> tuple[list[BlobInfo], str | None]:
    """Return up to `size` blobs in the order of their names, and the next page's marker (None after the last page)."""
    ensure_container(container)
    listing = blob_service().get_container_client(container).list_blobs(prefix, results_per_page=size)
    pages: Any = listing.by_page(marker)
    found = [_info(blob) for blob in next(pages, ())]
    return found, pages.continuation_token or None


def _info(blob: Any) -> BlobInfo:
    etag = str(blob.etag).strip('"')  # a listing gives ETags without quotes
    return BlobInfo(name=blob.name, size=blob.size, written_at=blob.last_modified, etag=f'"{etag}"')


def delete_blob(container: str, name: str, *, only: BlobInfo | None = None) -> None:
    """Delete a blob, or only the version `only`; it is no error if the blob or the version is gone."""
    from azure.core import MatchConditions  # noqa: PLC0415
    from azure.core.exceptions import ResourceModifiedError, ResourceNotFoundError  # noqa: PLC0415

    condition: dict[str, Any] = {"etag": only.etag, "match_condition": MatchConditions.IfNotModified} if only else {}
    with suppress(ResourceNotFoundError, ResourceModifiedError):
        blob_service().get_blob_client(container, name).delete_blob(**condition)


def delete_quietly(container: str, names: Iterable[str]) -> None:
    """Delete blobs that nothing refers to any more; while the storage is away they stay, which does no harm."""
    try:
        with storage_errors():
            for name in names:
                delete_blob(container, name)
    except StorageDown as error:
        log.warning("Blobs that nobody needs could not be deleted (%s)", type(error.__cause__ or error).__name__)


def blob_url(container: str, name: str) -> str:
    """Return the blob's plain address; it opens only if the container is public."""
    base = _base_url()
    return f"{base}{container}/{name}"


@lru_cache(maxsize=1)
def _base_url() -> str:
    url: str = blob_service().url
    return url if url.endswith("/") else f"{url}/"


def read_link(container: str, name: str, *, now: datetime, minutes: int, file_name: str) -> str:
    """Return a link that downloads the blob as `file_name`, and works for `minutes` from `now`."""
    from azure.storage.blob import BlobSasPermissions  # noqa: PLC0415

    disposition = f'attachment; filename="{file_name}"'
    expiry = now + timedelta(minutes=minutes)
    return _link(container, name, BlobSasPermissions(read=True), now=now, expiry=expiry, disposition=disposition)


def create_link(container: str, name: str, *, now: datetime, expiry: datetime) -> str:
    """Return a link that can create this one blob while it does not exist, and can't read, list or delete anything."""
    from azure.storage.blob import BlobSasPermissions  # noqa: PLC0415

    ensure_container(container)
    return _link(container, name, BlobSasPermissions(create=True), now=now, expiry=expiry)


def _link(
    container: str,
    name: str,
    permission: "BlobSasPermissions",
    *,
    now: datetime,
    expiry: datetime,
    disposition: str | None = None,
) -> str:
    """Sign with the account's key if we have it, else with a key that Azure lends to our identity."""
    from azure.storage.blob import generate_blob_sas  # noqa: PLC0415

    service, url = blob_service(), blob_url(container, name)
    start = now - timedelta(minutes=5)  # the clocks of two machines differ
    key = getattr(service.credential, "account_key", None)
    signed = generate_blob_sas(
        account_name=str(service.account_name),
        container_name=container,
        blob_name=name,
        account_key=key,
        user_delegation_key=None if key else service.get_user_delegation_key(start, expiry),
        permission=permission,
        start=start,
        expiry=expiry,
        protocol=url.partition(":")[0] if url.startswith("https:") else None,
        content_disposition=disposition,
    )
    return f"{url}?{signed}"
