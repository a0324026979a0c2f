"""The messages of reports: they tell coordinators that the files of a schedule are ready."""

from collections.abc import Iterator
from datetime import datetime
from email.message import EmailMessage
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import BaseModel

from shared.domain.access.permissions import Role
from shared.domain.access.queries import list_members
from shared.domain.catalog.queries import get_event
from shared.domain.catalog.schemas import EventOut
from shared.domain.messaging.emails import envelope
from shared.domain.messaging.message_kind import MessageKind, OnceErased, Queue
from shared.domain.messaging.settings import MessagingSettings, messaging_settings
from shared.kit.db.unit_of_work import UnitOfWork
from shared.kit.mail import Mailer
from shared.kit.outbox.kinds import Message
from shared.kit.settings.app import app_settings


def _send_notice(message: Message, mailer: Mailer) -> None:
    """Tell a coordinator that reports are ready; a person who is no longer a coordinator gets no mail."""
    notice = ReportNotice.model_validate(message.payload)
    with UnitOfWork(read_only=True) as unit_of_work:
        event = get_event(unit_of_work.session, message.event_id)
        members = list_members(unit_of_work.session, message.event_id)
    if any(member.email == notice.to and member.role is Role.COORDINATOR for member in members):
        mailer.send(_notice(notice, event, message_id=message.id, config=messaging_settings()))


REPORT_NOTICE = MessageKind(
    name="report_notice",
    queue=Queue.EMAIL,
    work=_send_notice,
    timeline=None,
    once_erased=OnceErased.NOT_CONCERNED,
    is_news=False,
)


class ReportedFile(BaseModel):
    """One report, and whether it could be written."""

    id: UUID
    kind: str
    outcome: str
    error: str | None


class ReportNotice(BaseModel):
    """The message's payload: the recipient, and the reports."""

    to: str
    due_at: datetime
    reports: list[ReportedFile]


def _notice(notice: ReportNotice, event: EventOut, *, message_id: UUID, config: MessagingSettings) -> EmailMessage:
    """Return the message. It holds no data, and its links work only for signed-in coordinators."""
    due = notice.due_at.astimezone(ZoneInfo(event.timezone))
    failed = [report for report in notice.reports if report.outcome != "ready"]
    what = "Some reports could not be written" if failed else "Your reports are ready"
    message = envelope(notice.to, f"{what}: {event.title}", message_id=message_id, config=config)
    lines = [
        f"The reports of {event.title} that were due on {due:%d %B %Y at %H:%M} ({event.timezone}):",
        "",
        *_lines(notice, event),
        "",
        "Only signed-in coordinators can download the files. They are removed when the schedule says so.",
        "",
    ]
    message.set_content("\n".join(lines))
    return message


def _lines(notice: ReportNotice, event: EventOut) -> Iterator[str]:
    for report in notice.reports:
        name = report.kind.replace("_", " ")
        if report.outcome == "ready":
            yield f"  {name}: {app_settings().public_url}/api/v1/admin/events/{event.id}/reports/{report.id}/download"
        else:
            yield f"  {name}: could not be written. {report.error}"
