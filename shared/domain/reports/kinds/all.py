"""Every kind of report, by its name."""

from shared.domain.reports.kinds.attendees import ATTENDEES
from shared.domain.reports.kinds.ledger import LEDGER
from shared.domain.reports.kinds.orders import ORDERS
from shared.domain.reports.kinds.promo_codes import PROMO_CODES
from shared.domain.reports.kinds.sales import SALES

KINDS = {kind.name: kind for kind in (SALES, ORDERS, ATTENDEES, PROMO_CODES, LEDGER)}
