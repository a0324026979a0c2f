"""Queues: base64 JSON, as the Functions host reads it."""

import base64
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache

import orjson

from shared.kit.storage.account import IMPATIENCE, queue_service


@lru_cache(maxsize=16)
def _ensure_queue(name: str) -> None:
    from azure.core.exceptions import ResourceExistsError  # noqa: PLC0415

    with suppress(ResourceExistsError):
        queue_service().create_queue(name)


def send_message(queue: str, message: Mapping[str, object]) -> None:
    """Put one message on the queue."""
    _ensure_queue(queue)
    queue_service().get_queue_client(queue).send_message(base64.b64encode(orjson.dumps(message)).decode())


def queue_length(name: str) -> int:
    """Return roughly how many messages wait; 0 if the queue was never made. The time-out is short."""
    from azure.core.exceptions import ResourceNotFoundError  # noqa: PLC0415

    try:
        found = queue_service().get_queue_client(name).get_queue_properties(**IMPATIENCE)
    except ResourceNotFoundError:
        return 0
    return int(found.approximate_message_count or 0)
