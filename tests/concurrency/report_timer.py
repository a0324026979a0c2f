"""`python -m tests.concurrency.report_timer STEP NOW`: the timer that writes reports, which stops before a step.

It reports this on its standard output, and waits to be killed. Settings come from the environment, as for the app.
"""

import sys
import threading
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from shared.domain.reports import catalogue, upkeep, writing
from shared.kit.storage import blobs

BLOCK_BYTES = 64 * 1024
STEPS: dict[str, tuple[Any, str]] = {
    "after its file": (catalogue, "finish"),
    "after it is shown": (writing, "_strike_off"),
}
IN_ITS_FILE = "in the middle of its file"


def stand_still(*_: object, **__: object) -> Any:
    """Report that the step is reached, and do nothing more."""
    print("now", flush=True)
    threading.Event().wait()


def half_of(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield enough for some blocks, then yield nothing more."""
    staged = 0
    for chunk in chunks:
        if staged > 4 * BLOCK_BYTES:
            stand_still()
        staged += len(chunk)
        yield chunk


def main(step: str, now: datetime) -> None:
    """Run the timer up to the step."""
    if step == IN_ITS_FILE:
        put_stream, blobs._BLOCK_BYTES = blobs.put_stream, BLOCK_BYTES
        blobs.put_stream = lambda container, name, chunks, **how: put_stream(container, name, half_of(chunks), **how)
    else:
        setattr(*STEPS[step], stand_still)
    upkeep.keep_reports(sales_every=timedelta(days=1), clock=lambda: now)


if __name__ == "__main__":
    main(sys.argv[1], datetime.fromisoformat(sys.argv[2]))
