"""A trace is continued from the caller's header; if the header is malformed, a new trace begins (W3C Trace Context)."""

import re

import pytest

from shared.kit.tracing import Span, current_work, read_traceparent, traceparent, working_on

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize("version", ["00", "01-", "cc-what-may-come"])
def test_a_trace_goes_on(version):
    number, _, rest = version.partition("-")
    header = f"{number}-{TRACE}-{PARENT}-01" + (f"-{rest}" if version != number else "")
    assert read_traceparent(header) == Span(TRACE, PARENT, "01")
    with working_on("sell", request_id="request-1", traceparent=header) as work:
        assert (work.function, work.request_id, work.span.trace_id) == ("sell", "request-1", TRACE)
        assert work.span.span_id != PARENT
        assert traceparent() == f"00-{TRACE}-{work.span.span_id}-01"
    assert (current_work(), traceparent()) == (None, None)


@pytest.mark.parametrize(
    "garbage",
    [
        None,
        "",
        "garbage",
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-01-more",
        f"00-{TRACE}-{PARENT}",
        f" 00-{TRACE}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-01\n",
        f"01-{TRACE}-{PARENT}-01-" + "x" * 10_000,
    ],
)
def test_garbage_begins_a_trace(garbage):
    assert read_traceparent(garbage) is None
    with working_on("sell", traceparent=garbage) as work:
        assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-00", work.span.traceparent)
        assert work.span.trace_id != TRACE


def test_work_within_work_ends_where_it_began():
    with working_on("outer") as outer, pytest.raises(ZeroDivisionError), working_on("inner"):
        raise ZeroDivisionError
    with working_on("outer") as outer:
        with working_on("inner"):
            pass
        assert current_work() is outer
