"""How often a message is tried, and when again: the only place that says so."""

from datetime import timedelta

ATTEMPTS_AT_MOST = 5
"""As often as the host brings a message before it puts it on the poison queue (`maxDequeueCount` in host.json)."""

LEASE = timedelta(seconds=30)
"""How long whoever works on a message has it to themselves."""

PUBLISH_AGAIN_AFTER = timedelta(minutes=10)
"""A message that was published so long ago and is not done has been lost by its queue."""

UNKNOWN_KIND_WAITS = timedelta(minutes=1)
"""A message that only another version of the app knows is published again after this time."""

_FIRST_WAIT_SECONDS = 2


def wait_after(attempts: int) -> timedelta:
    """Return how long a message that could not be done now waits: soon at first, ten minutes at most."""
    doublings = min(max(attempts, 1) - 1, 10)
    return min(timedelta(seconds=_FIRST_WAIT_SECONDS << doublings), PUBLISH_AGAIN_AFTER)
