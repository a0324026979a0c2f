"""The format of an archive's file: one line of JSON for each entry, compressed.

Without `id`, `previous_hash` and `hash`, a line with sorted keys is exactly the text that was hashed together with the
previous hash; so anybody can compute the chain again. The same entries always make the same bytes, because the
compressed file holds no time.
"""

import gzip
import zlib
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import IO
from uuid import UUID

import orjson

from shared.domain.audit.chain import FACTS, Link

_GZIP = 31  # zlib's window bits for a gzip header; zlib leaves the header's time at zero


class NotAnArchive(Exception):
    """The file does not have the format of an archive."""


def compressed(event_id: UUID, links: Iterable[Link]) -> Iterator[bytes]:
    """Yield the file of these links, piece by piece."""
    squeeze = zlib.compressobj(wbits=_GZIP)
    for link in links:
        if piece := squeeze.compress(_line_of(event_id, link)):
            yield piece
    yield squeeze.flush()


def links_in(file: IO[bytes]) -> Iterator[Link]:
    """Yield the links of an archive's file, line by line; raises `NotAnArchive` where a line can't be read."""
    try:
        with gzip.open(file) as lines:
            yield from map(_link_of, lines)
    except (gzip.BadGzipFile, EOFError, zlib.error, ValueError, KeyError, TypeError) as error:
        raise NotAnArchive from error


def _line_of(event_id: UUID, link: Link) -> bytes:
    told = {
        "event_id": str(event_id),
        "id": str(link.id),
        "seq": link.seq,
        "at": link.at.astimezone(UTC).isoformat(),
        "previous_hash": link.previous_hash.hex(),
        "hash": link.hash.hex(),
    }
    return orjson.dumps(told | link.facts, option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)


def _link_of(line: bytes) -> Link:
    told = orjson.loads(line)
    return Link(
        id=UUID(told["id"]),
        seq=told["seq"],
        at=datetime.fromisoformat(told["at"]),
        facts={name: told[name] for name in FACTS},
        previous_hash=bytes.fromhex(told["previous_hash"]),
        hash=bytes.fromhex(told["hash"]),
    )
