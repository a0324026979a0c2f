from datetime import time
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from shared.domain.reports.rules import Frequency, Weekday
from shared.kit.fields import Email, Input, Moment, Output, unset
from shared.kit.pages import PageQuery

type KindName = Literal["sales", "orders", "attendees", "promo_codes", "ledger"]
type ReportStatus = Literal["running", "ready", "failed"]


def _once_each(values: list[Any]) -> list[Any]:
    return list(dict.fromkeys(values))


def _as_text(value: object) -> object:
    return value.isoformat("minutes") if isinstance(value, time) else value


type LocalTime = Annotated[
    str,
    BeforeValidator(_as_text),
    StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$"),
    Field(description="The time of day in the event's time zone.", examples=["07:30"]),
]
type Kinds = Annotated[list[KindName], Field(min_length=1, max_length=10), AfterValidator(_once_each)]
type Notify = Annotated[
    list[Email],
    Field(max_length=20, description="Coordinators who get an e-mail when the files are ready."),
    AfterValidator(_once_each),
]
type WithBom = Annotated[
    bool, Field(description="Begin the file with a byte order mark, so that Excel opens it as UTF-8 on a double click.")
]
type KeepDays = Annotated[
    int | None, Field(ge=1, le=3650, description="Files older than this are removed; null keeps them all.")
]
type KeepFiles = Annotated[
    int | None, Field(ge=1, le=1000, description="How many files of each kind are kept (the newest); null: all.")
]


class ReportOut(Output):
    """A report on the event's data: its file is ready or being written, or could not be written."""

    id: UUID
    kind: KindName
    status: ReportStatus
    rows: int | None = None
    bytes: int | None = None
    sha256: str | None = None
    error: str | None = Field(None, description="Why it could not be written.")
    retry_at: Moment | None = Field(None, description="When it is tried again.")
    with_bom: bool = False
    schedule_id: UUID | None = Field(None, description="Its schedule; null if a person or new sales asked for it.")
    due_at: Moment | None = None
    created_at: Moment
    finished_at: Moment | None = None


class ReportCreate(Input):
    """Which report to make."""

    kind: KindName = "sales"
    with_bom: WithBom = False


class ReportListQuery(PageQuery):
    """Which reports to list."""

    page_size: int = Field(50, ge=1, le=100)
    kind: KindName | None = None
    schedule_id: UUID | None = None


class ExportQuery(Input):
    """How to write the file."""

    with_bom: WithBom = False


class ScheduleCreate(Input):
    """Which reports are written automatically, and when."""

    kinds: Kinds = Field(default=["sales"])
    frequency: Frequency = Field(
        description="`daily` and `weekly` need `local_time`; `weekly` also needs `weekday`. `hourly` runs on the hour. "
        "`after_event` runs once, when the event ends; the others stop thirty days after that."
    )
    local_time: LocalTime | None = None
    weekday: Weekday | None = None
    with_bom: WithBom = False
    keep_days: KeepDays = 90
    keep_files: KeepFiles = None
    notify: Notify = Field(default=[])
    is_active: bool = True


class SchedulePatch(Input):
    """What to change of a schedule; fields left out stay."""

    kinds: Kinds = Field(default_factory=unset)
    frequency: Frequency = Field(default_factory=unset)
    local_time: LocalTime | None = None
    weekday: Weekday | None = None
    with_bom: WithBom = Field(default_factory=unset)
    keep_days: KeepDays = None
    keep_files: KeepFiles = None
    notify: Notify = Field(default_factory=unset)
    is_active: bool = Field(default_factory=unset)


class ScheduleOut(Output):
    """A schedule; `next_run_at` is when it is due next, or null if it is paused or has ended."""

    id: UUID
    event_id: UUID
    kinds: list[KindName]
    frequency: Frequency
    local_time: LocalTime | None
    weekday: Weekday | None
    with_bom: bool
    keep_days: int | None
    keep_files: int | None
    notify: list[str]
    is_active: bool
    next_run_at: Moment | None
    created_at: Moment
    updated_at: Moment
    version: int


class ScheduleList(Output):
    """The event's report schedules, the oldest first."""

    items: list[ScheduleOut]
