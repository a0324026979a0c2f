"""Every table of the app, for Alembic; nothing else imports this module."""

from shared.domain.access import models as access
from shared.domain.audit import models as audit
from shared.domain.catalog import models as catalog
from shared.domain.ledger import models as ledger
from shared.domain.messaging import models as messaging
from shared.domain.orders import models as orders
from shared.domain.payments import models as payments
from shared.domain.privacy import models as privacy
from shared.domain.promotions import models as promotions
from shared.domain.reports import models as reports
from shared.domain.stock import models as stock
from shared.domain.tickets import models as tickets
from shared.kit.db import idempotency
from shared.kit.outbox import models as outbox

__all__ = [
    "access",
    "audit",
    "catalog",
    "idempotency",
    "ledger",
    "messaging",
    "orders",
    "outbox",
    "payments",
    "privacy",
    "promotions",
    "reports",
    "stock",
    "tickets",
]
