"""A change of anything that a buyer agrees to raises the terms, so no order is placed on the old ones (R-PKG-5)."""

from datetime import timedelta

import pytest

from shared.domain.catalog.rules import EVENT_TERMS, TERMS
from tests.harness.desk import NOW, Desk, know_settings

EVENT_CHANGES = {
    "currency": "EUR",
    "ends_at": NOW + timedelta(days=32),
    "max_tickets_per_customer": 4,
    "capacity": 500,
    "tax_percent": 7.5,
    "tax_included": True,
    "fee_percent": 2.5,
    "fee_cents": 30,
    "fee_included": True,
}
PACKAGE_CHANGES = {
    "price_cents": 1_100,
    "seats_per_package": 2,
    "min_per_order": 2,
    "max_per_order": 3,
    "sale_starts_at": NOW - timedelta(days=1),
    "sale_ends_at": NOW + timedelta(days=1),
    "name": "Chair",
    "options_per": "ticket",
    "tax_percent": 7.5,
    "fee_percent": 2.5,
    "fee_cents": 30,
    "fair_market_value_cents": 600,
}


@pytest.fixture
def desk(module_database, app_environment):
    know_settings(app_environment)
    desk = Desk(module_database)
    yield desk
    desk.close()


def terms(desk, *packages):
    return [desk.value("SELECT terms FROM stock WHERE id = %s", package) for package in packages]


def test_every_term_is_looked_at_here():
    assert EVENT_CHANGES.keys() == EVENT_TERMS
    assert PACKAGE_CHANGES.keys() == TERMS


@pytest.mark.parametrize("field", EVENT_CHANGES)
def test_a_term_of_the_event_raises_the_terms_of_all_its_packages(field, desk):
    packages = desk.package(), desk.package()
    desk.change_event(**{field: EVENT_CHANGES[field]})
    assert terms(desk, *packages) == [2, 2]
    desk.change_event(**{field: EVENT_CHANGES[field]})  # the value that it has already
    assert terms(desk, *packages) == [2, 2]


@pytest.mark.parametrize("field", PACKAGE_CHANGES)
def test_a_term_of_a_package_raises_the_terms_of_this_package(field, desk):
    changed, other = desk.package(), desk.package()
    desk.change_package(changed, **{field: PACKAGE_CHANGES[field]})
    assert terms(desk, changed, other) == [2, 1]
    desk.change_package(changed, **{field: PACKAGE_CHANGES[field]})
    assert terms(desk, changed, other) == [2, 1]


def test_what_nobody_agrees_to_leaves_the_terms(desk):
    package = desk.package()
    desk.change_event(title="Ball", order_expiry_minutes=30)
    desk.change_package(package, description="Two", quantity_limit=10)
    assert terms(desk, package) == [1]


def test_enabling_and_disabling_each_raise_the_terms_once(desk):
    package = desk.package()
    for enabled in (False, False, True, True):
        desk.enable(package, enabled=enabled)
    assert terms(desk, package) == [3]
