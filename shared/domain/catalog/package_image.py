"""Which image a package shows (R-IMG). Nothing here commits. `shared/domain/images` turns uploads into images.

The package remembers the id of the upload that it shows, or the id of a later removal. Both are UUIDv7, and only a
greater id replaces the one that is there. So an upload that is ready twice, or after a newer one, changes nothing.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from shared.domain.audit.commands import Entity, record
from shared.domain.catalog.errors import NoSuchPackage
from shared.domain.catalog.models import TicketPackage
from shared.kit.actor import Actor
from shared.kit.ids import new_id


@dataclass(frozen=True, slots=True)
class PackageImage:
    """An image in two sizes, as names of blobs in the public container, and the upload that it was made from."""

    upload_id: UUID
    display: str
    thumbnail: str

    @property
    def blobs(self) -> tuple[str, str]:
        """The names of both blobs."""
        return self.display, self.thumbnail


def show_image(
    session: Session, event_id: UUID, package_id: UUID, image: PackageImage, *, actor: Actor, now: datetime
) -> list[str] | None:
    """Show the image on its package; returns the replaced blobs, to delete after the commit.

    Returns None if the image is not shown, because a newer upload or a removal came after it, or because the package is
    gone. Locks the package.
    """
    package = _locked(session, event_id, package_id)
    if package is None:
        return None
    if package.image_upload_id == image.upload_id:
        return []
    if package.image_upload_id is not None and package.image_upload_id > image.upload_id:
        return None
    return _set_image(session, package, image, upload_id=image.upload_id, actor=actor, now=now)


def remove_image(session: Session, event_id: UUID, package_id: UUID, *, actor: Actor, now: datetime) -> list[str]:
    """Show no image any more, not even one that is still being checked; returns the blobs to delete after the commit.

    Raises `NoSuchPackage`. Locks the package.
    """
    package = _locked(session, event_id, package_id)
    if package is None:
        raise NoSuchPackage
    return _set_image(session, package, None, upload_id=new_id(), actor=actor, now=now)


def withdraw_image(session: Session, event_id: UUID, package_id: UUID, *, upload_id: UUID, now: datetime) -> None:
    """Stop showing the image of an upload that was refused after all; an image of another upload stays.

    This writes no audit entry, because nobody in the team did it.
    """
    session.execute(
        update(TicketPackage)
        .where(
            TicketPackage.event_id == event_id,
            TicketPackage.id == package_id,
            TicketPackage.image_upload_id == upload_id,
        )
        .values(display_image=None, thumbnail_image=None, version=TicketPackage.version + 1, updated_at=now)
    )


def _locked(session: Session, event_id: UUID, package_id: UUID) -> TicketPackage | None:
    return session.scalar(
        select(TicketPackage)
        .where(TicketPackage.event_id == event_id, TicketPackage.id == package_id)
        .with_for_update(key_share=True)
    )


def _set_image(
    session: Session,
    package: TicketPackage,
    image: PackageImage | None,
    *,
    upload_id: UUID,
    actor: Actor,
    now: datetime,
) -> list[str]:
    old = [name for name in (package.display_image, package.thumbnail_image) if name]
    package.image_upload_id = upload_id
    package.display_image = image.display if image else None
    package.thumbnail_image = image.thumbnail if image else None
    package.version += 1
    package.updated_at = now
    session.flush()
    made = {"image": (old[0] if old else None, package.display_image)}
    record(session, package.event_id, Entity.PACKAGE, package.id, made, actor=actor, now=now)
    return old
