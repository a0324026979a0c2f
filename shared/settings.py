"""Every group of settings, in the order of docs/settings.md."""

from shared.domain.audit.settings import AuditSettings
from shared.domain.images.settings import ImageSettings
from shared.domain.ledger.settings import LedgerSettings
from shared.domain.messaging.settings import MessagingSettings
from shared.domain.orders.settings import OrderSettings
from shared.domain.payments.settings import PaymentSettings
from shared.domain.privacy.settings import PrivacySettings
from shared.domain.promotions.settings import PromotionSettings
from shared.domain.reports.settings import ReportSettings
from shared.domain.tickets.settings import TicketSettings
from shared.kit.settings.app import AppSettings
from shared.kit.settings.database import DatabaseSettings
from shared.kit.settings.group import Group, read_all
from shared.kit.settings.http import HttpSettings
from shared.kit.settings.mail import MailSettings
from shared.kit.settings.redis import RedisSettings
from shared.kit.settings.storage import StorageSettings
from shared.kit.settings.telemetry import TelemetrySettings

GROUPS: tuple[type[Group], ...] = (
    AppSettings,
    DatabaseSettings,
    RedisSettings,
    StorageSettings,
    HttpSettings,
    MailSettings,
    TelemetrySettings,
    OrderSettings,
    PromotionSettings,
    TicketSettings,
    PaymentSettings,
    MessagingSettings,
    ImageSettings,
    ReportSettings,
    AuditSettings,
    LedgerSettings,
    PrivacySettings,
)


def read_settings() -> None:
    """Read all settings at the start of the process.

    Raises one `SettingsError`, which names every setting that is missing or bad.
    """
    read_all(GROUPS)
