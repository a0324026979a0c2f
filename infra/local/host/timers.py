import json
import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from infra.local.host.blobs import HOSTS_CONTAINER
from infra.local.host.expressions import expand_settings
from infra.local.host.functions import Function, FunctionFailed, log_failure
from infra.local.host.listening import TriggerHost
from infra.local.host.protocol import TypedData
from infra.local.host.schedule import Schedule, parse_schedule
from infra.local.host.storage import NotThere, StorageError

log = logging.getLogger("functions.host")

_LATE = timedelta(seconds=1)
_LONGEST_SLEEP = 30.0
_SHORTEST_MONITORED = timedelta(minutes=1)


@dataclass(frozen=True)
class _Status:
    """What is remembered about a timer between two starts of the host."""

    last: datetime | None
    next: datetime
    updated: datetime

    def to_json(self, schedule: str) -> str:
        return json.dumps({**_dates(self), "Schedule": schedule})


class TimerListener:
    """Runs a function when its schedule comes due, one run at a time, in UTC.

    Each occurrence is computed from the one before, not from the end of a run, so the times do not drift. Occurrences
    that passed while the function ran or the host was down cause one late run.
    """

    def __init__(self, function: Function, host: TriggerHost) -> None:
        self._function = function
        self._host = host
        self._text = expand_settings(str(function.trigger["schedule"]))
        self._schedule = parse_schedule(self._text)
        now = datetime.now(UTC)
        first = self._schedule.next(now)
        frequent = self._schedule.next(first) - first < _SHORTEST_MONITORED
        self._monitored = bool(function.trigger.get("useMonitor", True)) and not frequent
        self._status = _Status(None, first, now)
        self._blob = f"timers/{host.config.host_id}/{function.name}/status"

    async def listen(self) -> None:
        """Run the function each time it is due until asked to stop; outages of storage do not end it."""
        try:
            missed = await self._missed() if self._monitored else False
            if missed or self._function.trigger.get("runOnStartup"):
                await self._run(datetime.now(UTC), late=missed)
        except Exception:
            log.exception("The timer %s had an error at its start and goes on", self._function.name)
        await self._host.keep_going(self._step, self._function.name)

    async def _step(self) -> None:
        due = self._status.next
        remaining = (due - datetime.now(UTC)).total_seconds()
        if remaining > 0:  # in short sleeps, because the clock may be changed and the machine may be suspended
            await self._host.stop.pause(min(remaining, _LONGEST_SLEEP))
            return
        late = -remaining > _LATE.total_seconds()
        await self._run(_last_passed(self._schedule, due, datetime.now(UTC)) if late else due, late=late)

    async def _run(self, due: datetime, *, late: bool) -> None:
        """Run the function (stopping waits for it), and compute when it is due next."""
        following = self._schedule.next(due)
        announced = _Status(self._status.last, following, self._status.updated)
        await self._host.start(_run_timer(self._host, self._function, announced, late=late))
        now = datetime.now(UTC)
        if following < now - _LATE:
            following = _last_passed(self._schedule, following, now)
        self._status = _Status(due, following, now)
        if self._monitored:
            await self._remember()

    async def _missed(self) -> bool:
        """Tell whether an occurrence passed while the host was down; a timer that was never seen before is noted."""
        try:
            content = await self._host.storage.download("", HOSTS_CONTAINER, self._blob)
            stored = json.loads(content)
            last = datetime.fromisoformat(stored["Last"]) if stored["Last"] else None
            expected = datetime.fromisoformat(stored["Next"])
            if stored["Schedule"] != self._text:
                expected = self._schedule.next(last or datetime.fromisoformat(stored["LastUpdated"]))
        except NotThere:
            await self._remember()
            return False
        except StorageError as error:
            self._host.outage.begins(error)
            return False
        except (ValueError, KeyError, TypeError):
            log.warning("The status of the timer %s could not be read and is written again", self._function.name)
            return False
        now = datetime.now(UTC)
        self._status = _Status(last, expected if expected > now else self._status.next, now)
        return expected <= now

    async def _remember(self) -> None:
        try:
            await self._host.storage.upload("", HOSTS_CONTAINER, self._blob, self._status.to_json(self._text))
        except StorageError as error:
            self._host.outage.begins(error)
        else:
            self._host.outage.ends()


def _last_passed(schedule: Schedule, first: datetime, now: datetime) -> datetime:
    """Return the last occurrence that passed, so that many missed occurrences cause one late run."""
    occurrence = first
    while (following := schedule.next(occurrence)) <= now:
        occurrence = following
    return occurrence


def _dates(status: _Status) -> dict[str, str | None]:
    return {
        "Last": status.last.isoformat() if status.last else None,
        "Next": status.next.isoformat(),
        "LastUpdated": status.updated.isoformat(),
    }


async def _run_timer(host: TriggerHost, function: Function, status: _Status, *, late: bool) -> None:
    content = {"Schedule": {"AdjustForDST": True}, "ScheduleStatus": _dates(status), "IsPastDue": late}
    try:
        await host.run(function, TypedData(json=json.dumps(content)), names={})
    except (FunctionFailed, StorageError) as error:
        log_failure(function, "its schedule", error)


async def run_timer_now(host: TriggerHost, function: Function) -> None:
    """Invoke a timer function outside its schedule, as the admin endpoint asks."""
    now = datetime.now(UTC)
    following = parse_schedule(expand_settings(str(function.trigger["schedule"]))).next(now)
    await _run_timer(host, function, _Status(None, following, now), late=False)
