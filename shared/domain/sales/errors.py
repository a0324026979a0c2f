from shared.kit.errors import Conflict, NotFound


class NoSuchReport(NotFound):
    """There is no such report for this event."""

    code = "report_not_found"


class ReportNotReady(Conflict):
    """The report is not ready to be downloaded."""

    code = "report_not_ready"
