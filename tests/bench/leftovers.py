"""The confirmations that measured orders leave behind, so that sending them does not disturb the next measurement."""

import contextlib

import psycopg
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.queue import QueueClient

from shared.domain.messaging.message_kind import Queue
from tests.bench.system import System


def strike_off_mail(system: System) -> int:
    """Mark all waiting mail as done; return how many messages it was."""
    with psycopg.connect(system.database_url, autocommit=True) as connection:
        struck = connection.execute("UPDATE outbox SET done_at = now() WHERE done_at IS NULL").rowcount
    storage = system.environment["AzureWebJobsStorage"]
    with contextlib.suppress(ResourceNotFoundError):  # the queue exists only after the first order
        QueueClient.from_connection_string(storage, Queue.EMAIL).clear_messages()
    return struck
