"""The demo data, loaded once: a gala to try things on, a showcase with past sales, and another coordinator's event.

Settings come from the environment, as for the app: `python -m infra.local.demo`.
"""

from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from infra.local.demo_pictures import stage_picture
from infra.local.demo_season import add_showcase, sell
from infra.local.tokens import DEMO_NAMES, claims_for
from shared.domain.access.commands import admit, put_member
from shared.domain.access.permissions import Permission, Role
from shared.domain.catalog import commands
from shared.domain.catalog.models import Event
from shared.domain.catalog.options import create_option
from shared.domain.catalog.queries import all_packages
from shared.domain.catalog.schemas import EventCreate, OptionCreate, PackageCreate, PackageOut
from shared.domain.images.commands import receive_image
from shared.domain.promotions.commands import create_promo_code
from shared.domain.promotions.schemas import PromoCodeCreate
from shared.kit.actor import Actor, Identity
from shared.kit.clock import utc_now
from shared.kit.db.unit_of_work import UnitOfWork, raw_connection
from shared.kit.settings.http import http_settings

GALA = EventCreate(
    title="Spring Benefit Gala",
    slug="spring-benefit-gala",
    description="Dinner, music and an auction, in aid of the children's hospital.",
    starts_at=datetime(2027, 4, 17, 22, 0, tzinfo=UTC),
    ends_at=datetime(2027, 4, 18, 3, 0, tzinfo=UTC),
    timezone="America/New_York",
    currency="USD",
)
GALA_PACKAGES = (
    PackageCreate(
        name="Individual Ticket",
        description="Standard entrance, includes dinner",
        price_cents=10_000,
        seats_per_package=1,
        fair_market_value_cents=6_000,
    ),
    PackageCreate(
        name="VIP Individual Ticket",
        description="Front tables, dinner, and a reception with the artists",
        price_cents=50_000,
        seats_per_package=1,
        fair_market_value_cents=15_000,
    ),
    PackageCreate(
        name="Gold Sponsorship",
        description="A table for ten, and your name on the programme",
        price_cents=1_000_000,
        seats_per_package=10,
        quantity_limit=5,
        is_sponsorship=True,
        fair_market_value_cents=150_000,
    ),
)

VIP_OPTIONS = (
    OptionCreate(label="Main course", option_type="multi_select", choices=["Fish", "Lamb", "Vegan"]),
    OptionCreate(label="Name on the place card", option_type="text_input", is_required=False),
    OptionCreate(label="I am over 21", option_type="boolean"),
)
GALA_CODES = (
    PromoCodeCreate(
        code="EARLYBIRD",
        discount_type="percentage",
        discount_value=Decimal(10),
        max_total_uses=100,
        max_uses_per_customer=2,
    ),
    PromoCodeCreate(
        code="PATRON500",
        discount_type="fixed_amount",
        discount_value=Decimal(50_000),
        min_order_cents=500_000,
        expires_at=datetime(2027, 4, 1, 4, 0, tzinfo=UTC),
    ),
)
COLOURS = {"Individual": (64, 84, 160), "VIP": (120, 60, 150), "Gold": (176, 134, 40), "Family": (40, 120, 110)}

RECITAL = EventCreate(
    title="Studio Recital",
    slug="studio-recital",
    description="The ballet school's summer recital.",
    starts_at=datetime(2027, 6, 12, 17, 0, tzinfo=UTC),
    ends_at=datetime(2027, 6, 12, 19, 0, tzinfo=UTC),
    timezone="Europe/London",
    currency="GBP",
)
RECITAL_PACKAGES = (
    PackageCreate(name="Family seat", description="One seat in the hall", price_cents=1_200, quantity_limit=180),
)


def load(*, now: datetime) -> bool:
    """Load the demo data unless it is there; return whether it was loaded."""
    with UnitOfWork() as unit_of_work:
        session = unit_of_work.session
        if session.scalar(select(Event.id).where(Event.slug == GALA.slug)):
            return False
        people = {email: _sign_in(unit_of_work, email) for email in DEMO_NAMES}
        coordinator, staff = people["coordinator@demo.test"], people["staff@demo.test"]
        showcase = add_showcase(session, coordinator=coordinator, staff=staff, now=now)
        recital = _add(session, RECITAL, RECITAL_PACKAGES, people["other@demo.test"], now=now)
        gala = _add(session, GALA, GALA_PACKAGES, coordinator, now=now)  # the newest is listed first
        vip = next(package for package in all_packages(session, gala.id) if package.name.startswith("VIP"))
        for option in VIP_OPTIONS:
            create_option(session, gala.id, vip.id, option, actor=coordinator, now=now)
        for code in GALA_CODES:
            create_promo_code(session, gala.id, code, actor=coordinator, now=now)
        put_member(session, gala.id, "staff@demo.test", Role.STAFF, actor=coordinator, now=now)
        unit_of_work.commit()
        for event in (gala, recital):
            for package in all_packages(session, event.id):
                _send_picture(event.id, package, by=coordinator, now=now)
    with raw_connection() as connection:
        sell(connection, showcase, seller=staff, now=now)
    return True


def _send_picture(event_id: UUID, package: PackageOut, *, by: Actor, now: datetime) -> None:
    """Upload a picture as a coordinator does: once the host runs, it checks the picture and then shows it."""
    picture = stage_picture(package.name, colour=COLOURS[package.name.split()[0]])
    receive_image(event_id, package.id, picture, content_type="image/jpeg", actor=by, now=now)


def _sign_in(unit_of_work: UnitOfWork, email: str) -> Actor:
    """Record a demo user, as their first request would."""
    identity = Identity(
        issuer=http_settings().oidc_issuer,
        subject=claims_for(email, issuer=http_settings().oidc_issuer)["sub"],
        email=email,
        email_verified=True,
        name=DEMO_NAMES[email],
        is_super_admin=False,
    )
    return admit(unit_of_work.session, identity, Permission.EVENTS_LIST, None)


def _add(
    session: Session, event: EventCreate, packages: tuple[PackageCreate, ...], coordinator: Actor, *, now: datetime
) -> Event:
    added = commands.create_event(session, event, actor=coordinator, now=now)
    for package in packages:
        commands.create_package(session, added.id, package, actor=coordinator, now=now)
    commands.publish_event(session, added.id, actor=coordinator, now=now)
    return added


if __name__ == "__main__":
    print("Demo data loaded." if load(now=utc_now()) else "The demo data is there already.")
