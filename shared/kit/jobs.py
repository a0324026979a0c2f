"""Background functions: each run is timed, belongs to a trace, and can fail without revealing personal data."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from shared.kit.metrics import JOB_SECONDS
from shared.kit.tracing import working_on

log = logging.getLogger(__name__)


class JobFailed(Exception):
    """A background function failed; the log has the details."""


@contextmanager
def job(function: str) -> Iterator[None]:
    """Run a background function's body.

    An exception of the body is logged, and then raised as `JobFailed`. The reason: the host logs the full text of an
    exception that a function raises, and the text of a mail server's refusal names the recipient.
    """
    started = time.perf_counter()
    outcome = "failed"
    with working_on(function):
        try:
            yield
            outcome = "done"
        except Exception as error:
            log.exception("%s failed", function)
            raise JobFailed(f"{function}: {type(error).__name__}") from None
        finally:
            JOB_SECONDS.labels(function, outcome).observe(time.perf_counter() - started)
