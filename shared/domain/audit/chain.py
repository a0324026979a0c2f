"""Follows a chain of entries, read from the database or from an archive. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from shared.domain.audit.rules import GENESIS, entry_hash

FACTS = (
    "actor_id",
    "actor_name",
    "actor_email",
    "entity_type",
    "entity_id",
    "field",
    "old_value",
    "new_value",
    "request_id",
)
"""What an entry says, apart from its place in the chain and its time."""


@dataclass(frozen=True, slots=True)
class ChainEnd:
    """How far a chain has come: the number of its last entry, and that entry's hash."""

    seq: int
    hash: bytes


BEGINNING = ChainEnd(0, GENESIS)
"""Where every event's chain begins."""


@dataclass(frozen=True, slots=True)
class Link:
    """An entry as a part of its chain; `facts` holds JSON values under the names in `FACTS`."""

    id: UUID
    seq: int
    at: datetime
    facts: dict[str, Any]
    previous_hash: bytes
    hash: bytes


class ChainBroken(Exception):
    """An entry does not fit the entries before it."""

    def __init__(self, reason: str, *, seq: int, id_: UUID | None = None) -> None:
        """`seq` and `id_` name the entry; there is no id where the entry is missing."""
        super().__init__(f"entry {seq}: {reason}")
        self.reason, self.seq, self.id = reason, seq, id_


class Walk:
    """Follows an event's chain; `end` is how far the walk has come, `count` how many entries it has passed."""

    def __init__(self, event_id: UUID, *, after: ChainEnd) -> None:
        self._event_id = event_id
        self.end, self.count = after, 0

    def over(self, links: Iterable[Link]) -> Iterator[Link]:
        """Yield each link that fits the one before it; raises `ChainBroken` at the first that does not fit."""
        for link in links:
            reason = self._fault_of(link)
            if reason is not None:
                raise ChainBroken(reason, seq=link.seq, id_=link.id)
            self.end, self.count = ChainEnd(link.seq, link.hash), self.count + 1
            yield link

    def must_end_at(self, end: ChainEnd) -> None:
        """Raise `ChainBroken` unless the walk has come exactly to `end`."""
        if self.end.seq < end.seq:
            raise ChainBroken("entries are missing at the end", seq=self.end.seq + 1)
        if self.end.seq > end.seq:
            raise ChainBroken("entries were added behind the end", seq=end.seq + 1)
        if self.end != end:
            raise ChainBroken("it is not the entry that the chain ends with", seq=end.seq)

    def _fault_of(self, link: Link) -> str | None:
        expected = self.end.seq + 1
        if link.seq > expected:
            return f"entry {expected} is missing"
        if link.seq < expected:
            return "it stands in a place that is not its own"
        if link.previous_hash != self.end.hash:
            return "it does not follow the entry before it"
        digest = entry_hash(self.end.hash, event_id=self._event_id, seq=link.seq, at=link.at, facts=link.facts)
        return None if digest == link.hash else "its content has been changed"
