"""Changes of events and packages: what they refuse, and what they leave behind (R-PKG-2, R-PKG-5)."""

from uuid import UUID

import pytest

from shared.domain.catalog import commands as catalog
from shared.domain.catalog.errors import (
    ConfirmationRequired,
    CurrencyLocked,
    EventCancelled,
    LimitBelowSales,
    PackageHasSales,
    PriceLocked,
    ReorderMismatch,
)
from shared.kit.errors import StaleVersion
from tests.harness.desk import NOW, Desk, know_settings


@pytest.fixture
def desk(module_database, app_environment):
    know_settings(app_environment)
    desk = Desk(module_database)
    yield desk
    desk.close()


def change(desk, command, *subject, **how):
    with desk.session() as session:
        return command(session, desk.event_id, *subject, actor=desk.coordinator, now=NOW, **how)


def reorder(desk, *packages):
    change(desk, catalog.reorder_packages, list(packages))


def delete(desk, package, *, confirmed=True):
    change(desk, catalog.delete_package, package, confirmed=confirmed, if_match=None)


def version(desk, table, id_):
    return desk.value(f"SELECT version FROM {table} WHERE id = %s", id_)


def shown(desk):
    rows = desk.rows("SELECT id, display_order FROM ticket_packages WHERE event_id = %s ORDER BY 2", desk.event_id)
    assert [place for _, place in rows] == list(range(len(rows)))
    return [id_ for id_, _ in rows]


def test_a_package_is_shown_after_those_that_are_there(desk):
    made = [desk.package() for _ in range(3)]
    assert shown(desk) == made
    assert {version(desk, "ticket_packages", package) for package in made} == {1}


def test_a_new_order_names_every_package_exactly_once(desk):
    one, two, three = (desk.package() for _ in range(3))
    for wrong in ([one, two], [one, two, three, three], [one, two, three, UUID(int=7)]):
        with pytest.raises(ReorderMismatch):
            reorder(desk, *wrong)
    assert shown(desk) == [one, two, three]
    reorder(desk, three, one, two)
    assert shown(desk) == [three, one, two]


def test_a_limit_is_never_below_what_is_sold_and_held(desk):
    package = desk.package(quantity_limit=10)
    desk.place({package: 2}, by="test")
    desk.place({package: 3})
    with pytest.raises(LimitBelowSales) as refused:
        desk.change_package(package, quantity_limit=4)
    assert refused.value.fields == {"sold_count": 2, "held_count": 3}
    desk.change_package(package, quantity_limit=5)
    assert desk.value("SELECT quantity_limit FROM stock WHERE id = %s", package) == 5


def test_a_price_is_locked_once_one_is_sold_where_the_event_says_so(desk):
    package = desk.package()
    desk.place({package: 1}, by="test")
    desk.change_package(package, price_cents=1_100)
    desk.change_event(lock_price_after_sales=True)
    with pytest.raises(PriceLocked):
        desk.change_package(package, price_cents=1_200)
    desk.change_package(package, price_cents=1_100, description="Other")
    desk.change_package(desk.package(), price_cents=1_200)


def test_a_currency_is_locked_once_something_is_held(desk):
    package = desk.package()
    desk.change_event(currency="EUR")
    desk.place({package: 1})
    with pytest.raises(CurrencyLocked):
        desk.change_event(currency="USD")
    desk.change_event(currency="EUR", title="Ball")


def test_a_package_of_which_something_is_held_or_was_sold_is_not_deleted(desk):
    free, held, sold = (desk.package() for _ in range(3))
    desk.place({held: 1})
    desk.refund(desk.place({sold: 1}, by="test").id)
    for package in (held, sold):
        with pytest.raises(PackageHasSales):
            delete(desk, package)
    with pytest.raises(ConfirmationRequired):
        delete(desk, free, confirmed=False)
    delete(desk, free)
    assert [id_ for (id_,) in desk.rows("SELECT id FROM ticket_packages WHERE event_id = %s", desk.event_id)] == [
        held,
        sold,
    ]


@pytest.mark.parametrize("counted", ["held", "sold"])
def test_a_package_whose_stock_counts_something_is_not_deleted_though_no_order_has_it(desk, counted):
    package = desk.package()
    desk.connection.execute(f"UPDATE stock SET {counted} = 1 WHERE id = %s", [package])
    with pytest.raises(PackageHasSales):
        delete(desk, package)
    assert shown(desk) == [package]


def test_a_cancelled_event_stays_so(desk):
    for _ in "12":
        change(desk, catalog.cancel_event)
    assert version(desk, "events", desk.event_id) == 3  # created, published, cancelled
    with pytest.raises(EventCancelled):
        change(desk, catalog.publish_event)
    assert desk.value("SELECT status FROM events WHERE id = %s", desk.event_id) == "cancelled"


def test_each_change_raises_the_version_by_one_and_no_change_leaves_it(desk):
    package = desk.package()
    for name in ("Chair", "Chair", "Stool"):
        desk.change_package(package, name=name)
    desk.change_event(title="Ball")
    desk.change_event(title="Ball")
    assert (version(desk, "ticket_packages", package), version(desk, "events", desk.event_id)) == (3, 3)
    with pytest.raises(StaleVersion):
        change(desk, catalog.cancel_event, if_match=frozenset({2}))
