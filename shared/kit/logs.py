"""The app's log: in production one JSON object for each line, connected by trace and request ids.

It holds no personal data and no secrets. Our own messages hold ids and names of classes. The text of an error is left
out, because drivers and validators quote the values that they refuse.
"""

import logging
import traceback
from datetime import UTC, datetime
from typing import Any

import orjson

from shared.kit.settings.telemetry import TelemetrySettings
from shared.kit.tracing import current_work

access = logging.getLogger("boxoffice.access")

# The fields that our own lines add to the message, besides those of the work under way.
_FACTS = ("method", "route", "status", "ms", "event_id")
# These libraries log each call that they make.
_TALKATIVE = ("azure.core", "azure.identity", "msal", "stripe", "urllib3")
# These libraries log the full text of errors, which they also raise.
_QUOTING = ("psycopg",)
# Classes of SQLSTATE with messages about the server or our statements, never about values.
_HARMLESS = frozenset({"08", "25", "3D", "40", "42", "53", "54", "55", "57", "58", "XX"})


def set_up(config: TelemetrySettings, *, is_local: bool) -> None:
    """Make every line name the work that it belongs to, hold no personal data, and be JSON in production."""
    is_private = is_local and config.log_format == "text"  # a developer's own data may be shown
    make_record = logging.getLogRecordFactory()  # the worker's OpenTelemetry may have set its own factory
    logging.setLogRecordFactory(lambda *args, **kwargs: _complete(make_record(*args, **kwargs), is_private=is_private))
    access.setLevel(logging.INFO if config.access_log else logging.WARNING)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in () if is_private else _QUOTING:
        logging.getLogger(name).setLevel(logging.ERROR)
    if config.log_format == "json":
        for handler in logging.getLogger().handlers:
            handler.setFormatter(JsonFormatter())


def _complete(record: logging.LogRecord, *, is_private: bool) -> logging.LogRecord:
    work = current_work()
    if work is not None:
        span = work.span
        record.function, record.request_id = work.function, work.request_id
        record.trace_id, record.span_id = span.trace_id, span.span_id
    if record.exc_info and record.exc_info[1] is not None and not is_private:
        # The handlers that come next (the console, the host, OpenTelemetry) get no more than this.
        record.exc_text, record.exc_info = what_failed(record.exc_info[1]), None
    return record


class JsonFormatter(logging.Formatter):
    """Writes one JSON object for each line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")[:-6] + "Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name in ("function", "request_id", "trace_id", "span_id", *_FACTS):
            value = getattr(record, name, None)
            if value not in (None, ""):
                line[name] = value
        if record.exc_info and record.exc_info[1] is not None:
            line["error"] = what_failed(record.exc_info[1])
        elif record.exc_text:
            line["error"] = record.exc_text
        return orjson.dumps(line, default=str).decode()


def what_failed(error: BaseException) -> str:
    """Return the chain of errors and their places, without texts that may quote values; the first cause comes last."""
    told: list[str] = []
    seen: set[int] = set()
    following: BaseException | None = error
    while following is not None and id(following) not in seen:
        seen.add(id(following))
        frames = traceback.extract_tb(following.__traceback__)
        told.append(f"{type(following).__module__}.{type(following).__qualname__}{_harmless_words(following)}")
        told += [f"  {_short(frame.filename)}:{frame.lineno} {frame.name}" for frame in frames]
        following = following.__cause__ or (None if following.__suppress_context__ else following.__context__)
    return "\n".join(told)


def _harmless_words(error: BaseException) -> str:
    """Return the safe part of an error: a database error's state and constraint, or a system error's cause."""
    sqlstate = getattr(error, "sqlstate", None)
    if sqlstate:
        about = getattr(error, "diag", None)
        words = [sqlstate, getattr(about, "constraint_name", None)]
        if sqlstate[:2] in _HARMLESS:
            words.append(getattr(about, "message_primary", None))
        return ": " + " ".join(word for word in words if word)
    if isinstance(error, OSError) and error.strerror:
        return f": {error.strerror}"
    return ""


def _short(path: str) -> str:
    for anchor in ("/site-packages/", "/shared/", "/functions/", "/infra/"):
        before, found, after = path.rpartition(anchor)
        if found:
            del before
            return f"{anchor.strip('/')}/{after}" if anchor != "/site-packages/" else after
    return path.rpartition("/")[2]
