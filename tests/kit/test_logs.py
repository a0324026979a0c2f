"""A line of the log tells what failed, where, and for which request, and holds no personal data."""

import io
import json
import logging

import psycopg
import pytest
from pydantic import BaseModel, ValidationError

from shared.kit import logs
from shared.kit.settings.group import load
from shared.kit.settings.telemetry import TelemetrySettings
from shared.kit.tracing import working_on

SECRET = "ada@example.com"


@pytest.fixture
def lines():
    """The JSON lines of a separate logger; afterwards the process's logging has its old settings."""
    text = io.StringIO()
    log = logging.getLogger("tests.logs")
    handler = logging.StreamHandler(text)
    handler.setFormatter(logs.JsonFormatter())
    log.addHandler(handler)
    log.propagate = False
    factory = logging.getLogRecordFactory()
    levels = {name: logging.getLogger(name).level for name in (*logs._TALKATIVE, *logs._QUOTING, logs.access.name)}
    root = [(each, each.formatter) for each in logging.getLogger().handlers]
    logs.set_up(load(TelemetrySettings, {"LOG_FORMAT": "json"}), is_local=True)
    yield lambda: [json.loads(line) for line in text.getvalue().splitlines()]
    logging.setLogRecordFactory(factory)
    log.removeHandler(handler)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    for each, formatter in root:
        each.setFormatter(formatter)


def log_failure(raise_it):
    try:
        raise_it()
    except Exception:
        logging.getLogger("tests.logs").exception("It failed")


def test_a_line_tells_time_level_and_the_work_it_belongs_to(lines):
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    with working_on("sell", request_id="request-1", traceparent=f"00-{trace}-00f067aa0ba902b7-01") as work:
        logging.getLogger("tests.logs").warning("%d left\nlevel=error", 3, extra={"status": 409, "ms": 1.5})
    (line,) = lines()
    time = line.pop("time")
    assert time.endswith("Z")
    assert len(time) == len("2026-11-21T12:00:00.000Z")
    assert line == {
        "level": "warning",
        "logger": "tests.logs",
        "message": "3 left\nlevel=error",
        "function": "sell",
        "request_id": "request-1",
        "trace_id": trace,
        "span_id": work.span.span_id,
        "status": 409,
        "ms": 1.5,
    }


def test_an_error_tells_where_and_not_what_was_in_its_hands(lines):
    def fail() -> None:
        try:
            dict[str, str]()[SECRET]
        except KeyError as error:
            raise ValueError(f"no {SECRET} here") from error

    log_failure(fail)
    (line,) = lines()
    first, *frames = line["error"].splitlines()
    assert first == "builtins.ValueError"
    assert "builtins.KeyError" in frames
    assert sum("test_logs.py:" in frame and frame.endswith(" fail") for frame in frames) == 2
    assert SECRET not in json.dumps(line)


def test_a_validator_is_not_quoted(lines):
    class Person(BaseModel):
        age: int

    with pytest.raises(ValidationError, match=SECRET):
        Person.model_validate({"age": SECRET})
    log_failure(lambda: Person.model_validate({"age": SECRET}))
    assert SECRET not in json.dumps(lines())


def test_the_database_says_state_and_constraint_and_quotes_no_row(lines, database_url):
    def fail(statement: str) -> None:
        with psycopg.connect(database_url) as connection:
            connection.execute("CREATE TEMP TABLE people (email text CONSTRAINT no_at CHECK (email !~ '@'))")
            connection.execute(statement.encode())

    log_failure(lambda: fail(f"INSERT INTO people VALUES ('{SECRET}')"))
    log_failure(lambda: fail(f"SELECT '{SECRET}'::integer"))
    log_failure(lambda: fail("SELECT nothing FROM people"))
    told = [line["error"].splitlines()[0] for line in lines()]
    assert told == [
        "psycopg.errors.CheckViolation: 23514 no_at",
        "psycopg.errors.InvalidTextRepresentation: 22P02",
        'psycopg.errors.UndefinedColumn: 42703 column "nothing" does not exist',
    ]
    assert SECRET not in json.dumps(lines())


def test_the_driver_quotes_no_error_beside_the_one_that_is_raised(lines):
    driver = logging.getLogger("psycopg")
    assert not driver.isEnabledFor(logging.WARNING)
    assert driver.isEnabledFor(logging.ERROR)


def test_other_handlers_get_no_more_than_ours(lines):
    seen: list[logging.LogRecord] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(record)

    handler = Handler()
    logging.getLogger("tests.logs").addHandler(handler)
    try:
        log_failure(lambda: int(SECRET))
    finally:
        logging.getLogger("tests.logs").removeHandler(handler)
    assert seen[0].exc_info is None
    assert SECRET not in logging.Formatter().format(seen[0])
