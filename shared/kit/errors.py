"""Refusals, in five categories that know no HTTP; the edge maps each category to a status.

A domain error is a class with a one-sentence docstring (its title for people), a stable `code` (for programs), and the
fields that a client can act on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


class Refusal(Exception):
    """The request was understood and refused; nothing has changed."""

    code: ClassVar[str] = "refused"

    def __init__(self, detail: str | None = None, **fields: object) -> None:
        """`detail` is one sentence for people; `fields` (JSON values) are what a client can act on."""
        super().__init__(detail or self.title())
        self.detail = detail or self.title()
        self.fields = fields

    @classmethod
    def title(cls) -> str:
        """The class's own sentence, the same for every occurrence (RFC 9457 §3.1.3)."""
        return (cls.__doc__ or cls.__name__).strip().splitlines()[0].rstrip(".")


@dataclass(frozen=True, slots=True)
class InputFault:
    """One fault of several in an input: its place (JSON pointer), a sentence about it, and its stable name."""

    pointer: str
    detail: str
    code: str


class InvalidInput(Refusal):
    """The input breaks a rule."""

    code = "invalid_input"

    def __init__(
        self, detail: str | None = None, *, pointer: str = "", faults: Sequence[InputFault] = (), **fields: object
    ) -> None:
        """`pointer` is the JSON pointer of the offending value (RFC 6901); `faults` name several at once."""
        super().__init__(detail, **fields)
        self.faults = list(faults) or ([InputFault(pointer, self.detail, self.code)] if pointer else [])


class Mismatch(Refusal):
    """The request does not fit what is there."""

    code = "mismatch"


class Forbidden(Refusal):
    """You may not do this."""

    code = "forbidden"


class NotFound(Refusal):
    """There is no such thing here."""

    code = "not_found"


class Conflict(Refusal):
    """The present state does not allow this."""

    code = "conflict"


class Gone(Refusal):
    """It was here and is no more."""

    code = "gone"


class StaleVersion(Refusal):
    """Somebody else has changed it since you read it."""

    code = "stale_version"

    def __init__(self, *, current_version: int) -> None:
        """`current_version` is the version that the thing has now."""
        super().__init__(
            f"You edited an older version; the current one is {current_version}. Read it again and repeat your change.",
            current_version=current_version,
        )
