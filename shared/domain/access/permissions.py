"""The permissions, and which role has which of them (R-ROLE-1 to R-ROLE-3)."""

from enum import StrEnum


class Permission(StrEnum):
    """Every permission, in alphabetical order. A permission that no role has belongs to super admins alone.

    A route names exactly one. Where the permission depends on the body, the command checks it: `orders:comp`, and the
    permission of a report's kind.
    """

    AUDIT_READ = "audit:read"
    EVENTS_CREATE = "events:create"
    EVENTS_LIST = "events:list"
    EVENTS_READ = "events:read"
    EVENTS_WRITE = "events:write"
    MEMBERS_READ = "members:read"
    MEMBERS_WRITE = "members:write"
    ORDERS_CANCEL = "orders:cancel"
    ORDERS_COMP = "orders:comp"
    ORDERS_READ = "orders:read"
    ORDERS_WRITE = "orders:write"
    PACKAGES_READ = "packages:read"
    PACKAGES_WRITE = "packages:write"
    PRIVACY_EVERYWHERE = "privacy:everywhere"
    PRIVACY_WRITE = "privacy:write"
    PROMO_CODES_READ = "promo_codes:read"
    PROMO_CODES_WRITE = "promo_codes:write"
    PUBLIC = "public"
    RECONCILIATION_READ = "reconciliation:read"
    RECONCILIATION_WRITE = "reconciliation:write"
    REFUNDS_WRITE = "refunds:write"
    REPORTS_READ = "reports:read"
    REPORTS_WRITE = "reports:write"
    SALES_READ = "sales:read"


class Role(StrEnum):
    """What a member is in the team of one event."""

    COORDINATOR = "coordinator"
    STAFF = "staff"


# Every signed-in user has these, without an event.
SIGNED_IN = frozenset({Permission.PUBLIC, Permission.EVENTS_LIST})

# A coordinator of any event has these, without an event: coordinators may create further events.
ANY_COORDINATOR = frozenset({Permission.EVENTS_CREATE})

_STAFF = frozenset({Permission.EVENTS_READ, Permission.ORDERS_READ, Permission.ORDERS_WRITE, Permission.PACKAGES_READ})

OF_ROLE: dict[Role, frozenset[Permission]] = {
    Role.STAFF: _STAFF,
    Role.COORDINATOR: _STAFF
    | {
        Permission.AUDIT_READ,
        Permission.EVENTS_WRITE,
        Permission.MEMBERS_READ,
        Permission.MEMBERS_WRITE,
        Permission.ORDERS_CANCEL,
        Permission.ORDERS_COMP,
        Permission.PACKAGES_WRITE,
        Permission.PRIVACY_WRITE,
        Permission.PROMO_CODES_READ,
        Permission.PROMO_CODES_WRITE,
        Permission.RECONCILIATION_READ,
        Permission.RECONCILIATION_WRITE,
        Permission.REFUNDS_WRITE,
        Permission.REPORTS_READ,
        Permission.REPORTS_WRITE,
        Permission.SALES_READ,
    },
}
