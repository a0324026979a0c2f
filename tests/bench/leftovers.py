"""The confirmations that measured orders leave behind, so that sending them does not weigh on the next measurement."""

import contextlib

import psycopg
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.queue import QueueClient

from shared.domain.messaging.message_kind import Queue
from tests.bench.system import System


def strike_off_mail(system: System) -> int:
    """Strike off all mail that waits; returns how much it was."""
    with psycopg.connect(system.database_url, autocommit=True) as connection:
        struck = connection.execute("UPDATE outbox SET done_at = now() WHERE done_at IS NULL").rowcount
    storage = system.environment["AzureWebJobsStorage"]
    with contextlib.suppress(ResourceNotFoundError):  # the first order makes the queue
        QueueClient.from_connection_string(storage, Queue.EMAIL).clear_messages()
    return struck
