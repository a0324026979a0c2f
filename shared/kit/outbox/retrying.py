"""How often a message is tried, and how long it waits between tries; no other module decides this."""

from datetime import timedelta

ATTEMPTS_AT_MOST = 5
"""The host delivers a message this often before it puts it on the poison queue (`maxDequeueCount` in host.json)."""

LEASE = timedelta(seconds=30)
"""How long the worker that has leased a message has it to itself."""

PUBLISH_AGAIN_AFTER = timedelta(minutes=10)
"""If a message was published this long ago and is not done, its queue has lost it."""

UNKNOWN_KIND_WAITS = timedelta(minutes=1)
"""A message that only another version of the app knows is published again after this time."""

_FIRST_WAIT_SECONDS = 2


def wait_after(attempts: int) -> timedelta:
    """Return how long a message that could not be done now waits: soon at first, ten minutes at most."""
    doublings = min(max(attempts, 1) - 1, 10)
    return min(timedelta(seconds=_FIRST_WAIT_SECONDS << doublings), PUBLISH_AGAIN_AFTER)
