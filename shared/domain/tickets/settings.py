from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from shared.kit.settings.group import Group, read
from shared.kit.settings.values import Key, key_of_32_bytes


def _public_keys(text: str) -> str:
    keys = [key_of_32_bytes(key) for key in _split(text)]
    if len(keys) > 16:
        raise ValueError("must be 16 keys at most")
    return text


def _split(text: str) -> list[str]:
    return [part for part in text.replace(" ", "").split(",") if part]


type PublicKeys = Annotated[str, AfterValidator(_public_keys)]


class TicketSettings(Group):
    """The keys of ticket codes."""

    heading: ClassVar[str] = "Tickets"

    ticket_signing_key: Key = Field(
        description="Ed25519 seed that signs ticket codes: 32 bytes in base64.",
        repr=False,
        exclude=True,
        examples=["<openssl rand -base64 32>"],
    )
    ticket_verifying_keys: PublicKeys = Field(
        "",
        description="Ed25519 public keys that ticket codes are checked with besides the signing key's own, separated "
        "by commas: earlier keys, and the next key before it signs. `python -m shared.domain.tickets` makes keys.",
        examples=[""],
    )

    @property
    def other_ticket_keys(self) -> list[str]:
        """The public keys of `ticket_verifying_keys`, in base64."""
        return _split(self.ticket_verifying_keys)


def ticket_settings() -> TicketSettings:
    """Return the process's settings of this group."""
    return read(TicketSettings)
