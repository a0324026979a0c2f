"""Who acts: commands record this value, and permissions are decided on it."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Identity:
    """What a verified bearer token says; the token's signature, issuer, audience and times have been checked."""

    issuer: str
    subject: str
    email: str | None
    email_verified: bool
    name: str | None
    is_super_admin: bool


@dataclass(frozen=True, slots=True)
class Actor:
    """A known user, or the guest (`user_id` None)."""

    user_id: UUID | None
    email: str | None
    name: str | None
    is_super_admin: bool = False
    request_id: str = ""
    """The request in which they act, for the audit trail."""

    permissions: frozenset[str] = frozenset()
    """What the role in the event at hand allows; a super admin may do everything."""

    def may(self, permission: str) -> bool:
        """Whether the actor has a permission for the event at hand."""
        return self.is_super_admin or permission in self.permissions

    @property
    def is_guest(self) -> bool:
        """Whether nobody is signed in."""
        return self.user_id is None


GUEST = Actor(user_id=None, email=None, name=None)
