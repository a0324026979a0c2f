from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from shared.kit.db.base import Base


class Stock(Base):
    """How many there are of something that an event sells, and how many are held and sold: a small, busy row.

    `id` is the id of what is sold; `kind` says what that is. `terms` counts the changes of what a buyer agrees to
    (price, sale window, enabled, the event's state). A claim names the terms that it was computed under, so nothing is
    sold on terms that have changed meanwhile.
    """

    __tablename__ = "stock"
    __table_args__ = (
        CheckConstraint(
            "held >= 0 AND sold >= 0 AND (quantity_limit IS NULL OR held + sold <= quantity_limit)",
            name="never_oversold",
        ),
        CheckConstraint("quantity_limit > 0 AND (kind <> 'package' OR quantity_limit <= 10000)", name="quantity_limit"),
        CheckConstraint("kind ~ '^[a-z][a-z_]*$'", name="kind"),
        # Room on the page for the row's next version: with no index on what changes, updates stay on their page (HOT).
        {"postgresql_with": {"fillfactor": 40}},
    )

    event_id: Mapped[UUID] = mapped_column(ForeignKey("events.id"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(server_default="package")
    quantity_limit: Mapped[int | None]
    held: Mapped[int]
    sold: Mapped[int]
    terms: Mapped[int]
