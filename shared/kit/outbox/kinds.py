"""Messages, and the kinds of message that this process knows."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from shared.kit.mail import Mailer
from shared.kit.outbox.retrying import ATTEMPTS_AT_MOST

NAME = "^[a-z][a-z_]*$"
"""The form of a kind's name."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the outbox, as the function that does its work sees it."""

    event_id: UUID
    id: UUID
    payload: Mapping[str, Any]

    def id_of(self, field: str) -> UUID:
        """Return an id that the payload names."""
        return UUID(self.payload[field])


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of message: its name in the table, the queue that carries it, and the function that does its work.

    `work` may run twice for the same message, so the second run must do no harm. It raises `NotNow` when something that
    it needs is away, which is not the message's fault. `until_done`: the message is tried until it is done, and never
    given up.
    """

    name: str
    queue: str
    work: Callable[[Message, Mailer], None]
    until_done: bool = False

    def __post_init__(self) -> None:
        """Refuse a name that the table would refuse."""
        assert re.match(NAME, self.name), self.name

    def is_given_up(self, attempts: int) -> bool:
        """Whether a message that is not done after so many attempts is left to people."""
        return attempts >= ATTEMPTS_AT_MOST and not self.until_done


class NotNow(Exception):
    """A service that the work needs is away: the message is tried again later and never goes to the poison queue."""


_known: dict[str, Kind] = {}


def register(kinds: Iterable[Kind]) -> None:
    """Have this process publish and work on messages of these kinds; the app calls it once, when it starts.

    Messages of other kinds are left alone: a newer version of the app has written them and will look after them.
    """
    _known.clear()
    _known.update({kind.name: kind for kind in kinds})


def known_kinds() -> Mapping[str, Kind]:
    """Return the registered kinds by name."""
    return _known
