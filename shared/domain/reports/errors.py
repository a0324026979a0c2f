from shared.kit.errors import Conflict, InvalidInput, NotFound


class NoSuchReport(NotFound):
    """There is no such report for this event."""

    code = "report_not_found"


class ReportNotReady(Conflict):
    """The report can't be downloaded yet."""

    code = "report_not_ready"


class NoSuchSchedule(NotFound):
    """There is no such report schedule for this event."""

    code = "report_schedule_not_found"


class TooManySchedules(Conflict):
    """An event can have at most twenty report schedules."""

    code = "too_many_report_schedules"


class ScheduleIncomplete(InvalidInput):
    """The time and weekday of a report schedule do not fit its frequency."""

    code = "report_schedule_incomplete"
