"""What a message is, and which kinds of message this process knows."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from shared.kit.mail import Mailer
from shared.kit.outbox.retrying import ATTEMPTS_AT_MOST

NAME = "^[a-z][a-z_]*$"
"""What a kind may be called."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the outbox, as the work on it sees it."""

    event_id: UUID
    id: UUID
    payload: Mapping[str, Any]

    def id_of(self, field: str) -> UUID:
        """Return an id that the payload names."""
        return UUID(self.payload[field])


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of message: what it is called in the table, which queue carries it, and what is done about it.

    `work` may be run again for the same message, so it has to bear that; it raises `NotNow` for what fails through
    nobody's fault. `until_done`: it is tried for as long as it takes, and never given up.
    """

    name: str
    queue: str
    work: Callable[[Message, Mailer], None]
    until_done: bool = False

    def __post_init__(self) -> None:
        """Refuse a name that the table would refuse."""
        assert re.match(NAME, self.name), self.name

    def is_given_up(self, attempts: int) -> bool:
        """Whether a message that is not done is left to people after so many attempts."""
        return attempts >= ATTEMPTS_AT_MOST and not self.until_done


class NotNow(Exception):
    """What the work needs is away, through nobody's fault: the message is tried again later, and never poisons."""


_known: dict[str, Kind] = {}


def register(kinds: Iterable[Kind]) -> None:
    """Have this process publish and work on messages of these kinds; the app calls it once, as it starts.

    Messages of other kinds are left alone: a newer version of the app has written them and will look after them.
    """
    _known.clear()
    _known.update({kind.name: kind for kind in kinds})


def known_kinds() -> Mapping[str, Kind]:
    """Return the registered kinds by name."""
    return _known
