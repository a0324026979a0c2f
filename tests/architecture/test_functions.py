"""What the function app registers: exactly these functions, each with its own name and its trigger."""

import pytest

from shared.domain.messaging.kinds import KINDS
from tests.architecture.application import load, registered_routes

# A broken app may look like an app without any function, so the list is exact.
TRIGGERS = {
    "validate_image": "blobTrigger",
    "clean_uploads": "timerTrigger",
    "refresh_sales": "timerTrigger",
    "publish_outbox": "timerTrigger",
    "deliver_email": "queueTrigger",
    "apply_retention": "timerTrigger",
    "archive_audit": "timerTrigger",
    "release_expired": "timerTrigger",
    "settle_payment": "queueTrigger",
    "reconcile": "timerTrigger",
    "tend_order_search": "timerTrigger",
}
HTTP = [
    "add_order_note",
    "cancel_event",
    "cancel_order",
    "cancel_public_order",
    "confirm_payment",
    "create_box_office_order",
    "create_event",
    "create_image_upload_link",
    "create_option",
    "create_package",
    "create_payment_intent",
    "create_promo_code",
    "create_report",
    "create_report_schedule",
    "delete_option",
    "delete_package",
    "delete_promo_code",
    "delete_report_schedule",
    "disable_package",
    "download_audit_archive",
    "download_report",
    "enable_package",
    "erase_event_personal_data",
    "erase_personal_data",
    "export_event_personal_data",
    "export_personal_data",
    "export_sales_csv",
    "get_availability",
    "get_dashboard",
    "get_docs",
    "get_event",
    "get_image_upload",
    "get_metrics",
    "get_openapi",
    "get_order",
    "get_order_page",
    "get_package",
    "get_package_availability",
    "get_promo_code",
    "get_promo_code_usage",
    "get_public_event",
    "get_public_order",
    "get_reconciliation",
    "get_report_schedule",
    "get_sales_count",
    "get_sales_details",
    "get_sales_summary",
    "health_live",
    "health_ready",
    "list_audit_archives",
    "list_audit_trail",
    "list_events",
    "list_members",
    "list_options",
    "list_order_refunds",
    "list_orders",
    "list_package_audit_trail",
    "list_packages",
    "list_promo_codes",
    "list_public_events",
    "list_public_packages",
    "list_report_schedules",
    "list_reports",
    "list_ticket_keys",
    "no_such_route",
    "place_public_order",
    "publish_event",
    "put_member",
    "refund_order_payment",
    "remove_image",
    "remove_member",
    "reorder_options",
    "reorder_packages",
    "repair_finding",
    "resend_confirmation",
    "take_stripe_message",
    "update_event",
    "update_option",
    "update_package",
    "update_promo_code",
    "update_report_schedule",
    "upload_image",
    "validate_promo_code",
    "verify_audit_trail",
]


@pytest.fixture(scope="module")
def functions(app_environment):
    app = load("function_app", app_environment).app
    return {function.get_function_name(): function for function in app.get_functions()}


def test_the_app_has_these_functions_and_no_others(functions):
    triggers = {name: function.get_trigger().get_binding_name() for name, function in functions.items()}
    assert triggers == TRIGGERS | dict.fromkeys(HTTP, "httpTrigger")


def test_every_queue_that_messages_go_through_has_a_function_that_reads_it(functions):
    triggers = [function.get_trigger() for function in functions.values()]
    read = [trigger.queue_name for trigger in triggers if trigger.get_binding_name() == "queueTrigger"]
    assert sorted(read) == sorted({str(kind.queue) for kind in KINDS})


def test_every_route_is_a_function_of_its_own_with_one_method(functions, app_environment):
    routes = registered_routes(app_environment)
    assert sorted([*routes, "no_such_route"]) == sorted(HTTP)
    for name, route in routes.items():
        trigger = functions[name].get_trigger()
        assert (trigger.route, [str(getattr(m, "value", m)) for m in trigger.methods]) == (route.path, [route.method])


def test_no_two_functions_take_the_same_method_and_address(app_environment):
    taken = [(route.method, route.path) for route in registered_routes(app_environment).values()]
    assert len(taken) == len(set(taken))


def test_every_route_is_versioned_documented_and_says_its_permission(app_environment):
    permissions = load("shared.domain.access.permissions", app_environment).Permission
    for route in registered_routes(app_environment).values():
        assert route.path.startswith("v1/"), route.path
        assert isinstance(route.permission, permissions), route.name
        assert route.public is (route.permission is permissions.PUBLIC), route.name
        assert route.handler.__doc__, route.name


def test_every_admin_route_asks_for_a_permission(app_environment):
    for route in registered_routes(app_environment).values():
        assert route.public is not route.path.startswith("v1/admin/"), route.path


def test_permissions_stand_in_alphabetical_order_and_each_is_used(app_environment):
    module = load("shared.domain.access.permissions", app_environment)
    names = [permission.value for permission in module.Permission]
    assert names == sorted(names)
    used = {route.permission for route in registered_routes(app_environment).values()}
    assert used | {module.Permission.ORDERS_COMP} == set(module.Permission)  # a command starts this one


def test_a_coordinator_may_do_all_that_staff_may(app_environment):
    module = load("shared.domain.access.permissions", app_environment)
    assert module.OF_ROLE[module.Role.STAFF] < module.OF_ROLE[module.Role.COORDINATOR]


@pytest.mark.parametrize("permission", ["ORDERS_CANCEL", "ORDERS_COMP", "REFUNDS_WRITE"])
def test_what_gives_away_or_takes_back_is_for_coordinators_alone(app_environment, permission):
    module = load("shared.domain.access.permissions", app_environment)
    having = {role for role, permissions in module.OF_ROLE.items() if module.Permission[permission] in permissions}
    assert having == {module.Role.COORDINATOR}
