"""A demo event that has been selling for six days: something to find, to sum up and to look at on the dashboard.

The app's own commands sell everything, only with an earlier time as `now`, so the books add up.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from decimal import Decimal
from random import Random
from typing import Any
from unicodedata import normalize
from uuid import UUID
from zoneinfo import ZoneInfo

import psycopg
from sqlalchemy.orm import Session

from shared.domain.access.commands import put_member
from shared.domain.access.permissions import Role
from shared.domain.catalog import commands
from shared.domain.catalog.options import create_option
from shared.domain.catalog.queries import all_packages
from shared.domain.catalog.schemas import EventCreate, OptionCreate, PackageCreate, PackageOut
from shared.domain.orders.messages import ORDER_CONFIRMATION
from shared.domain.orders.placing.basket import SalesChannel
from shared.domain.orders.placing.commands import place_order
from shared.domain.orders.releasing import release_all_overdue
from shared.domain.orders.schemas import BoxOfficeOrder, OrderPlace, PlacedOrderOut
from shared.domain.orders.search.words import learn_words
from shared.domain.payments.messages import REFUND_NOTICE
from shared.domain.payments.refund_rules import Wish
from shared.domain.payments.refunds import refund_order
from shared.domain.promotions.commands import create_promo_code
from shared.domain.promotions.schemas import PromoCodeCreate
from shared.kit.actor import GUEST, Actor
from shared.kit.db.idempotency import Idempotency
from shared.kit.db.unit_of_work import UnitOfWork

SLUG = "winter-showcase"
DAYS = 6
_ZONE = "Europe/London"
_PACKAGES = (
    PackageCreate(
        name="Adult", description="A seat anywhere but in the front rows", price_cents=1_800, quantity_limit=240
    ),
    PackageCreate(name="Child", description="Up to 16 years", price_cents=900, quantity_limit=120),
    PackageCreate(
        name="Front row",
        description="With a programme and a drink in the interval",
        price_cents=4_500,
        quantity_limit=24,
        fair_market_value_cents=3_000,
    ),
    PackageCreate(
        name="Friends of the studio",
        description="Four seats, and your name in the programme",
        price_cents=25_000,
        seats_per_package=4,
        quantity_limit=6,
        is_sponsorship=True,
        fair_market_value_cents=7_200,
    ),
)
_WHOSE = OptionCreate(label="Whom do you come to see?", option_type="text_input", is_required=False)
_CODES = (
    PromoCodeCreate(code="FAMILY10", discount_type="percentage", discount_value=Decimal(10), max_total_uses=50),
    PromoCodeCreate(code="STUDIO5", discount_type="fixed_amount", discount_value=Decimal(500), min_order_cents=3_000),
)
_FIRST_NAMES = ("Ada", "Ben", "Chloe", "Dev", "Ella", "Femi", "Grace", "Hugo", "John", "Kaya", "Noah", "Priya", "Zoë")
_LAST_NAMES = ("Adeyemi", "Brown", "Chen", "Davies", "García", "Hughes", "Johnson", "Khan", "Lopez", "Okafor")
_DANCERS = ("Amelie", "Jonah", "Zoë", "the seniors", None, None, None)
_BASKETS = (
    {"Adult": 2, "Child": 1},
    {"Adult": 2, "Child": 2},
    {"Adult": 1, "Child": 1},
    {"Adult": 2},
    {"Adult": 4},
    {"Front row": 2},
    {"Front row": 1, "Child": 1},
    {"Friends of the studio": 1},
)
_BASKET_WEIGHTS = (6, 5, 4, 5, 2, 2, 1, 1)
_ONLINE = SalesChannel(paid_at_once=frozenset({"test"}), paid_later=frozenset({"card"}))
# These e-mails count as sent at the time of their orders.
_TOLD = """
UPDATE outbox SET published_at = created_at, done_at = created_at, attempts = 1
 WHERE event_id = %s AND kind = ANY(%s)
"""


@dataclass(frozen=True, slots=True)
class _Showcase:
    event_id: UUID
    packages: dict[str, PackageOut]
    dancer_option: UUID


def add_showcase(session: Session, *, coordinator: Actor, staff: Actor, now: datetime) -> _Showcase:
    """Add the event as it was published six days ago, with its packages, a question and two promo codes."""
    zone = ZoneInfo(_ZONE)
    begins = datetime.combine(now.astimezone(zone).date() + timedelta(days=12), time(18), zone)
    opened = now - timedelta(days=DAYS)
    event = commands.create_event(
        session,
        EventCreate(
            title="Winter Showcase",
            slug=SLUG,
            description="All classes of the studio on one stage. On sale for six days, so there is something to see.",
            starts_at=begins,
            ends_at=begins + timedelta(hours=3),
            timezone=_ZONE,
            currency="GBP",
        ),
        actor=coordinator,
        now=opened,
    )
    for package in _PACKAGES:
        commands.create_package(session, event.id, package, actor=coordinator, now=opened)
    packages = {package.name: package for package in all_packages(session, event.id)}
    option = create_option(session, event.id, packages["Adult"].id, _WHOSE, actor=coordinator, now=opened)
    for code in _CODES:
        create_promo_code(session, event.id, code, actor=coordinator, now=opened)
    put_member(session, event.id, str(staff.email), Role.STAFF, actor=coordinator, now=opened)
    commands.publish_event(session, event.id, actor=coordinator, now=opened)
    return _Showcase(event.id, packages, option.id)


def sell(connection: psycopg.Connection[Any], showcase: _Showcase, *, seller: Actor, now: datetime) -> None:
    """Sell what six days bring: a rush at first, then a few orders a day; some with codes, some at the box office.

    Some orders were never paid, one still waits for its payment, and two were refunded. `connection` is in autocommit.
    """
    random = Random(7)  # noqa: S311 - everybody gets the same season, and nothing here must be hard to guess
    box_office = SalesChannel(name="box_office", paid_at_once=frozenset({"cash"}), seller=seller.user_id)
    placed: list[PlacedOrderOut] = []
    moments = _moments(random, now)
    for number, moment in enumerate(moments):
        at_box_office = number % 11 == 5
        is_abandoned = number % 13 == 7 or moment == moments[-1]
        body = _order(random, showcase, by="cash" if at_box_office else "card" if is_abandoned else "test")
        release_all_overdue(connection, now=moment)
        placed.append(
            place_order(
                connection,
                showcase.event_id,
                BoxOfficeOrder(**body) if at_box_office else OrderPlace(**body),
                actor=GUEST,
                channel=box_office if at_box_office else _ONLINE,
                idempotency=_new_key(showcase),
                now=moment,
            )
        )
    first, *_, last = (order for order in placed if order.status == "paid" and len(order.tickets) > 1)
    wishes = {first.id: Wish(), last.id: Wish(ticket_ids=[last.tickets[0].id])}
    for order_id, wish in wishes.items():
        with UnitOfWork() as unit_of_work:
            refund_order(
                unit_of_work.session,
                showcase.event_id,
                order_id,
                wish,
                reason="Ill on the day of the showcase",
                actor=seller,
                idempotency=_new_key(showcase),
                now=now - timedelta(minutes=2),
            )
            unit_of_work.commit()
    connection.execute(_TOLD, [showcase.event_id, [ORDER_CONFIRMATION.name, REFUND_NOTICE.name]])
    learn_words(connection)


def _new_key(showcase: _Showcase) -> Idempotency:
    return Idempotency(showcase.event_id, secrets.token_bytes(32), bytes(32))


def _moments(random: Random, now: datetime) -> list[datetime]:
    """Return when they buy: a third in the first two hours, the rest day by day, the last a few minutes ago."""
    opened = now - timedelta(days=DAYS)
    rush = [timedelta(minutes=random.uniform(0, 120)) for _ in range(30)]
    since = [timedelta(minutes=random.uniform(120, DAYS * 24 * 60 - 30)) for _ in range(55)]
    lately = [timedelta(days=DAYS, minutes=-minutes) for minutes in (25, 14, 9, 4)]
    return sorted(opened + after for after in rush + since + lately)


def _order(random: Random, showcase: _Showcase, *, by: str) -> dict[str, Any]:
    first, last = random.choice(_FIRST_NAMES), random.choice(_LAST_NAMES)
    (basket,) = random.choices(_BASKETS, _BASKET_WEIGHTS)
    items: list[dict[str, Any]] = [
        {"package_id": showcase.packages[name].id, "quantity": quantity} for name, quantity in basket.items()
    ]
    dancer = random.choice(_DANCERS)
    if dancer and "Adult" in basket:
        items[0]["answers"] = [{"option_id": showcase.dancer_option, "value": dancer}]
    owed = sum(showcase.packages[name].price_cents * quantity for name, quantity in basket.items())
    return {
        "customer": {"name": f"{first} {last}", "email": f"{_plain(first)}.{_plain(last)}@example.com"},
        "items": items,
        "promo_code": random.choice(("FAMILY10", "STUDIO5", None, None, None)) if owed >= 3_000 else None,
        "payment_method": by,
    }


def _plain(name: str) -> str:
    return normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
