"""Every group of endpoints, in the order of the reference, and the functions that run in the background."""

from functions import images, outbox, reports, upkeep
from functions.admin import audit, members, options, packages, privacy, promo_codes, reconciliation, sales
from functions.admin import events as admin_events
from functions.admin import images as admin_images
from functions.admin import orders as admin_orders
from functions.admin import reports as admin_reports
from functions.public import events, order_page, orders, payments, ticket_keys
from functions.public import promo_codes as public_promo_codes

ENDPOINTS = (
    events.bp,
    orders.bp,
    order_page.bp,
    payments.bp,
    public_promo_codes.bp,
    ticket_keys.bp,
    admin_events.bp,
    members.bp,
    packages.bp,
    options.bp,
    promo_codes.bp,
    admin_images.bp,
    admin_orders.bp,
    reconciliation.bp,
    sales.bp,
    admin_reports.bp,
    audit.bp,
    privacy.bp,
)

BACKGROUND = (images.bp, reports.bp, outbox.bp, upkeep.bp)
