"""What the event's team sees of orders beyond what their buyers see."""

from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from shared.domain.orders.schemas import Channel, OrderOut
from shared.kit.fields import Input, Moment, Output, Paragraphs


class Person(Output):
    """A member of the team."""

    id: UUID | None
    name: str | None
    email: str | None


class NoteIn(Input):
    """A note to add to an order; buyers never see it."""

    text: Paragraphs


class NoteOut(Output):
    """A note of the team."""

    id: UUID
    text: str
    author: Person
    created_at: Moment


class ResendOut(Output):
    """The confirmation is on its way again; the order's timeline shows how far it is."""

    message_id: UUID
    to: str
    queued_at: Moment


class TimelineEntry(Output):
    """Something that has happened to an order."""

    at: Moment
    kind: Literal[
        "placed",
        "paid",
        "ended",
        "payment_begun",
        "payment_requires_action",
        "payment_processing",
        "payment_failed",
        "payment_cancelled",
        "payment_succeeded",
        "payment_disputed",
        "refund_decided",
        "refund_pending",
        "refund_succeeded",
        "refund_failed",
        "email",
        "note",
        "changed",
    ]
    actor: Person | None = Field(description="The team member who did it; null if the buyer or the system did.")
    detail: dict[str, Any] = Field(description="What is known about it: amounts in cents, reasons, states.")


class TeamOrderOut(OrderOut):
    """An order, with the parts that only the team sees."""

    channel: Channel
    notes: list[NoteOut] = Field(description="The team's notes, the oldest first.")
    timeline: list[TimelineEntry] = Field(description="All that has happened to the order, the oldest first.")
