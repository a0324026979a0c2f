from shared.kit.errors import Conflict, InvalidInput, NotFound


class NoSuchReport(NotFound):
    """There is no such report for this event."""

    code = "report_not_found"


class ReportNotReady(Conflict):
    """The report is not ready to be downloaded."""

    code = "report_not_ready"


class NoSuchSchedule(NotFound):
    """There is no such report schedule for this event."""

    code = "report_schedule_not_found"


class TooManySchedules(Conflict):
    """An event has at most twenty report schedules."""

    code = "too_many_report_schedules"


class ScheduleIncomplete(InvalidInput):
    """The frequency of a report schedule and its time and weekday do not fit together."""

    code = "report_schedule_incomplete"
