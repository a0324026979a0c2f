"""Proves an archive: checks, hash by hash, that the storage holds what was written."""

from tempfile import TemporaryFile
from typing import IO
from uuid import UUID

from pydantic import ValidationError

from shared.domain.audit.archive_file import NotAnArchive, links_in
from shared.domain.audit.chain import ChainBroken, ChainEnd, Walk
from shared.domain.audit.schemas import ArchiveManifest
from shared.kit.storage import blobs
from shared.kit.storage.account import storage_errors


class Unproven(Exception):
    """The archive is missing, or is not what was written."""

    def __init__(self, manifest: ArchiveManifest, reason: str) -> None:
        """`reason` is a clause, such as "the file is missing"."""
        super().__init__(f"{file_name(manifest.event_id, manifest.month)}: {reason}")
        self.reason = reason


def file_name(event_id: UUID, month: str) -> str:
    """Return the name of a month's file in the container `archive`."""
    return f"audit/{event_id}/{month}.jsonl.gz"


def manifest_name(event_id: UUID, month: str) -> str:
    """Return the name of the manifest of a month's file, in the same container."""
    return f"audit/{event_id}/{month}.manifest.json"


def prove(manifest: ArchiveManifest, *, after: ChainEnd) -> None:
    """Read an archive back and compute everything again; raises `Unproven`, or `StorageDown`.

    `manifest` is what the database says of the archive, `after` is the end of the archive before it. This checks the
    manifest in the storage, the file's size and SHA-256, the number of entries, every hash, and both ends of the
    chain.
    """
    _check_manifest(manifest)
    if after != ChainEnd(manifest.first_seq - 1, bytes.fromhex(manifest.previous_hash)):
        raise Unproven(manifest, "it does not follow the archive before it")
    # Copied first, so that the bytes that were measured are the bytes that are read; on disk, to save memory.
    with TemporaryFile() as file:
        with storage_errors():
            found = blobs.read_stream(blobs.ARCHIVE, file_name(manifest.event_id, manifest.month), file)
        if found is None:
            raise Unproven(manifest, "the file is missing")
        if (found.bytes, found.sha256) != (manifest.bytes, manifest.sha256):
            raise Unproven(manifest, "the file has been changed")
        file.seek(0)
        _check_entries(manifest, file, after=after)


def _check_manifest(manifest: ArchiveManifest) -> None:
    with storage_errors():
        stored = blobs.get_blob(blobs.ARCHIVE, manifest_name(manifest.event_id, manifest.month))
    if stored is None:
        raise Unproven(manifest, "the manifest is missing")
    try:
        told = dict(ArchiveManifest.model_validate_json(stored))
    except ValidationError:
        raise Unproven(manifest, "the manifest can't be read") from None
    differing = [name for name, value in manifest if told[name] != value and name != "written_at"]
    if differing:
        raise Unproven(manifest, f"the manifest and the database differ ({', '.join(differing)})")


def _check_entries(manifest: ArchiveManifest, file: IO[bytes], *, after: ChainEnd) -> None:
    walk = Walk(manifest.event_id, after=after)
    try:
        for _ in walk.over(links_in(file)):
            pass
        walk.must_end_at(ChainEnd(manifest.last_seq, bytes.fromhex(manifest.last_hash)))
    except NotAnArchive:
        raise Unproven(manifest, "the file can't be read") from None
    except ChainBroken as broken:
        raise Unproven(manifest, str(broken)) from None
    if walk.count != manifest.rows:
        raise Unproven(manifest, f"it has {walk.count} entries instead of {manifest.rows}")
