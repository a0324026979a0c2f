"""Changes of promo codes: what they refuse, and what they leave behind (R-PROMO-1, R-PROMO-4)."""

from typing import Any
from uuid import UUID

import pytest

from shared.domain.promotions.commands import delete_promo_code, update_promo_code
from shared.domain.promotions.errors import PromoCodeRedeemed, UsesBelowRedeemed
from shared.domain.promotions.schemas import PromoCodePatch
from shared.kit.errors import InvalidInput
from tests.harness.desk import NOW, Desk, know_settings


@pytest.fixture
def desk(module_database, app_environment):
    know_settings(app_environment)
    desk = Desk(module_database)
    yield desk
    desk.close()


def change(desk, code, **fields):
    body, actor = PromoCodePatch.model_validate(fields), desk.coordinator
    with desk.session() as session:
        update_promo_code(session, desk.event_id, code, body, actor=actor, if_match=None, now=NOW)


def stock(desk, code):
    return desk.rows("SELECT max_uses, uses, terms FROM promo_code_stock WHERE promo_code_id = %s", code)[0]


def discount(desk, code):
    return desk.rows("SELECT discount_type, discount_value::int FROM promo_codes WHERE id = %s", code)[0]


def test_a_code_may_be_limited_to_the_uses_that_it_has_had(desk):
    code, package = desk.code("TENTH"), desk.package()
    for _ in "12":
        desk.place({package: 1}, promo_code="TENTH")
    with pytest.raises(UsesBelowRedeemed) as refused:
        change(desk, code, max_total_uses=1)
    assert refused.value.fields == {"times_used": 2}
    change(desk, code, max_total_uses=2)
    assert stock(desk, code) == (2, 2, 2)


def test_every_change_raises_the_terms(desk):
    code = desk.code("TENTH")
    changes: list[dict[str, Any]] = [{"discount_value": 20}, {"min_order_cents": 500}, {"is_active": False}]
    for terms, fields in enumerate(changes, start=2):
        change(desk, code, **fields)
        assert stock(desk, code) == (None, 0, terms)


def test_another_value_keeps_the_kind_of_the_discount_and_another_kind_has_a_value_that_fits_it(desk):
    code = desk.code("LESS", discount_type="fixed_amount", discount_value=500)
    change(desk, code, discount_value=700)
    assert discount(desk, code) == ("fixed_amount", 700)
    with pytest.raises(InvalidInput):
        change(desk, code, discount_type="percentage")
    change(desk, code, discount_type="percentage", discount_value=12.5)
    assert discount(desk, code) == ("percentage", 1_250)


def test_a_code_is_limited_to_packages_of_its_event_or_to_none(desk):
    package, unknown = desk.package(), UUID(int=7)
    with pytest.raises(InvalidInput) as refused:
        desk.code("TENTH", package_ids=[package, unknown])
    assert [fault.pointer for fault in refused.value.faults] == ["/package_ids/1"]
    code = desk.code("TENTH", package_ids=[package])
    with pytest.raises(InvalidInput):
        change(desk, code, package_ids=[unknown])
    limited_to = "SELECT package_id FROM promo_code_packages WHERE promo_code_id = %s"
    assert desk.rows(limited_to, code) == [(package,)]
    change(desk, code, package_ids=[])
    assert desk.rows(limited_to, code) == []


def test_a_code_never_holds_if_it_ends_before_it_begins(desk):
    code = desk.code("TENTH", starts_at=NOW)
    with pytest.raises(InvalidInput) as refused:
        change(desk, code, expires_at=NOW)
    assert [fault.pointer for fault in refused.value.faults] == ["/expires_at"]


def test_a_code_that_somebody_used_is_kept_though_the_use_was_given_back(desk):
    used, unused = desk.code("USED"), desk.code("UNUSED")
    desk.cancel(desk.place({desk.package(): 1}, promo_code="USED").id)
    with pytest.raises(PromoCodeRedeemed), desk.session() as session:
        delete_promo_code(session, desk.event_id, used, actor=desk.coordinator, now=NOW)
    with desk.session() as session:
        assert delete_promo_code(session, desk.event_id, unused, actor=desk.coordinator, now=NOW) == "UNUSED"
    assert desk.rows("SELECT id FROM promo_codes WHERE event_id = %s", desk.event_id) == [(used,)]
