from datetime import datetime, time
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from shared.kit.db.base import Base

_KINDS = "ARRAY['sales', 'orders', 'attendees', 'promo_codes', 'ledger']"


class ReportSchedule(Base):
    """When reports of an event are written automatically, how long they are kept, and who is notified.

    `next_run_at` was computed from `reckoned_zone` and `reckoned_end`, the event's time zone and end at that moment.
    When the event's zone or end changes, it is computed again.
    """

    __tablename__ = "report_schedules"
    __table_args__ = (
        CheckConstraint(f"kinds <@ {_KINDS} AND cardinality(kinds) BETWEEN 1 AND 5", name="kinds"),
        CheckConstraint("frequency IN ('hourly', 'daily', 'weekly', 'after_event')", name="frequency"),
        CheckConstraint(
            "weekday IN ('monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday')", name="weekday"
        ),
        CheckConstraint(
            "(frequency IN ('daily', 'weekly')) = (local_time IS NOT NULL)"
            " AND (frequency = 'weekly') = (weekday IS NOT NULL)",
            name="complete",
        ),
        CheckConstraint("keep_days BETWEEN 1 AND 3650 AND keep_files BETWEEN 1 AND 1000", name="keep"),
        CheckConstraint("cardinality(notify) <= 20", name="notify"),
        Index("ix_report_schedules_next_run_at", "next_run_at"),
    )

    event_id: Mapped[UUID] = mapped_column(ForeignKey("events.id"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    kinds: Mapped[list[str]] = mapped_column(ARRAY(Text))
    frequency: Mapped[str]
    local_time: Mapped[time | None]
    weekday: Mapped[str | None]
    with_bom: Mapped[bool]
    keep_days: Mapped[int | None]
    keep_files: Mapped[int | None]  # of each kind
    notify: Mapped[list[str]] = mapped_column(ARRAY(Text))
    is_active: Mapped[bool]
    next_run_at: Mapped[datetime | None]
    last_due_at: Mapped[datetime | None]
    reckoned_zone: Mapped[str]
    reckoned_end: Mapped[datetime]
    created_by: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    version: Mapped[int]


class ReportRun(Base):
    """One report that has to be written, and its state. The catalogue lists its file under the same id.

    Until the run has ended, `next_attempt_at` says when a process may take it (again). The process that takes it sets
    this time so far into the future that writing ends before. So no other process takes the run, and none is forgotten.
    """

    __tablename__ = "report_runs"
    __table_args__ = (
        ForeignKeyConstraint(["event_id", "schedule_id"], ["report_schedules.event_id", "report_schedules.id"]),
        UniqueConstraint("event_id", "schedule_id", "kind", "due_at"),
        CheckConstraint(f"kind = ANY ({_KINDS})", name="kind"),
        CheckConstraint("cause IN ('asked', 'schedule', 'sales')", name="cause"),
        CheckConstraint("(cause = 'sales') = (seen IS NOT NULL)", name="seen"),
        CheckConstraint("outcome IN ('ready', 'failed')", name="outcome"),
        CheckConstraint(
            "(outcome IS NULL) = (finished_at IS NULL) AND (outcome IS NULL) = (next_attempt_at IS NOT NULL)",
            name="finished",
        ),
        CheckConstraint("attempts >= 0", name="attempts"),
        # One report of the same sales, even if several timers see them.
        Index("uq_report_runs_sales", "event_id", "seen", unique=True, postgresql_where=text("cause = 'sales'")),
        # Both stay small: they hold only the runs that have to be written or removed.
        Index("ix_report_runs_open", "next_attempt_at", postgresql_where=text("finished_at IS NULL")),
        Index("ix_report_runs_remove_at", "remove_at", postgresql_where=text("remove_at IS NOT NULL")),
    )

    event_id: Mapped[UUID] = mapped_column(ForeignKey("events.id"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    schedule_id: Mapped[UUID | None]
    kind: Mapped[str]
    cause: Mapped[str]
    with_bom: Mapped[bool]
    due_at: Mapped[datetime]
    seen: Mapped[UUID | None]  # the last message about a sale when this report became due
    asked_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[datetime]
    attempts: Mapped[int]
    next_attempt_at: Mapped[datetime | None]
    last_error: Mapped[str | None]
    outcome: Mapped[str | None]
    finished_at: Mapped[datetime | None]
    remove_at: Mapped[datetime | None]
