"""The settings that the application reads, as the local environment and the tests fill them in."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from infra.local.tokens import AUDIENCE

MAIL_FROM = "Boxoffice <tickets@demo.test>"


@dataclass(frozen=True)
class ServiceAddresses:
    """Where each service is reached."""

    database: str
    redis: str
    storage: str
    issuer: str
    mail: str
    public: str


def app_settings(addresses: ServiceAddresses, *, keys: Mapping[str, str], workers: int = 1) -> dict[str, str]:
    """The environment variables of the application for these services."""
    return {
        "ENVIRONMENT": "local",
        "DATABASE_URL": addresses.database,
        "REDIS_URL": addresses.redis,
        "AzureWebJobsStorage": addresses.storage,
        "OIDC_ISSUER": addresses.issuer,
        "OIDC_AUDIENCE": AUDIENCE,
        "MAIL_URL": addresses.mail,
        "MAIL_FROM": MAIL_FROM,
        "PUBLIC_URL": addresses.public,
        "OIDC_SUPER_ADMIN_CLAIM": "roles=super_admin",
        "BLOB_TRIGGER_SOURCE": "LogsAndContainerScan",
        # On this machine a run of a timer costs nothing, and a person who tries things out wants to see results soon.
        "OUTBOX_SCHEDULE": "*/10 * * * * *",
        "UPLOADS_SCHEDULE": "*/10 * * * * *",
        "ORDER_SEARCH_SCHEDULE": "*/20 * * * * *",
        "SALES_REFRESH_SCHEDULE": "*/15 * * * * *",
        "SALES_EXPORT_MINUTES": "0",
        "LOG_FORMAT": os.environ.get("LOG_FORMAT", "text"),
        "ACCESS_LOG": os.environ.get("ACCESS_LOG", "false"),
        "RATE_LIMITS": os.environ.get("RATE_LIMITS", "generous"),
        "WORKERS": str(workers),
        **keys,
    }


def default_workers() -> int:
    """WORKERS, else one worker process for each core, at most four."""
    return int(os.environ.get("WORKERS") or min(4, os.cpu_count() or 1))
