"""Custom options: the questions to buyers, and their answers (R-OPT)."""

import pytest

from tests.factories import (
    UNKNOWN_ID,
    assert_problem,
    at_once,
    event_state,
    open_evening,
    pointers,
    query,
    send_order,
)

TERMS = {"label": "I accept the terms", "option_type": "boolean"}
MEAL = {"label": "Meal", "option_type": "multi_select", "choices": ["Fish", "Meat", "Vegan"], "max_choices": 2}
NAME = {"label": "Name on the badge", "option_type": "text_input", "is_required": False}


@pytest.fixture
def evening(client, issuer):
    return open_evening(client, issuer)


def options_of(evening, package):
    return f"{evening.packages}/{package['id']}/custom-options"


def add(evening, package, fields):
    return evening.client.post(options_of(evening, package), json=fields, headers=evening.headers)


def added(evening, package, fields):
    answer = add(evening, package, fields)
    assert answer.status_code == 201, answer.text
    return answer.json()


def buy(evening, package, answers, *, quantity=1, **fields):
    item = {"package_id": package["id"], "quantity": quantity, "answers": answers}
    return send_order(evening.client, evening.id, [], items=[item], **fields)


def answer(option, value, **fields):
    return {"option_id": option["id"], "value": value} | fields


def test_options_of_all_three_types_are_asked_in_order(evening):
    package = evening.package()
    made = [added(evening, package, fields) for fields in (TERMS, MEAL, NAME)]
    assert made[1] == {
        "id": made[1]["id"],
        "label": "Meal",
        "option_type": "multi_select",
        "choices": ["Fish", "Meat", "Vegan"],
        "max_choices": 2,
        "is_required": True,
        "is_active": True,
        "display_order": 1,
    }
    assert evening.read_package(package["id"])["custom_options"] == made
    public = evening.client.get(f"/public/events/{evening.id}/ticket-packages").json()["items"][0]
    assert public["custom_options"] == made


def test_a_fifth_option_is_refused_until_one_is_retired(evening):
    package = evening.package()
    made = [added(evening, package, NAME | {"label": f"Question {number}"}) for number in range(4)]
    problem = assert_problem(add(evening, package, NAME), 409, "too_many_options")
    assert problem["title"] == "Maximum 4 custom options per package"
    path = f"{options_of(evening, package)}/{made[0]['id']}"
    retired = evening.client.patch(path, json={"is_active": False}, headers=evening.headers)
    assert (retired.status_code, retired.json()["is_active"]) == (200, False)
    fifth = added(evening, package, NAME)
    asked = [option["id"] for option in evening.read_package(package["id"])["custom_options"]]
    assert asked == [option["id"] for option in (*made[1:], fifth)]
    back = evening.client.patch(path, json={"is_active": True}, headers=evening.headers)
    assert_problem(back, 409, "too_many_options")


def test_of_eight_options_added_at_once_four_are_there(evening):
    package = evening.package()
    answers = at_once(8, lambda number: add(evening, package, NAME | {"label": f"Question {number}"}))
    assert sorted(answer.status_code for answer in answers) == [201] * 4 + [409] * 4
    orders = [option["display_order"] for option in evening.read_package(package["id"])["custom_options"]]
    assert orders == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        (TERMS | {"choices": ["Yes", "No"]}, "/choices"),
        (NAME | {"max_choices": 1}, "/choices"),
        (MEAL | {"choices": ["Only"]}, "/choices"),
        (MEAL | {"choices": ["Fish", "Fish"]}, "/choices"),
        (MEAL | {"choices": [f"Choice {n}" for n in range(11)]}, "/choices"),
        (MEAL | {"choices": ["Fish", "x" * 51]}, "/choices/1"),
        (MEAL | {"max_choices": 4}, "/max_choices"),
        (MEAL | {"label": " "}, "/label"),
        (MEAL | {"label": "x" * 101}, "/label"),
        (MEAL | {"option_type": "date"}, "/option_type"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused_by_pointer(evening, database_url, fields, pointer):
    package = evening.package()
    before = event_state(database_url, evening.id)
    assert pointers(assert_problem(add(evening, package, fields), 422, "invalid_input")) == [pointer]
    assert event_state(database_url, evening.id) == before


def test_answers_are_kept_with_the_order_and_a_skipped_one_is_null(evening, database_url):
    package = evening.package()
    terms, meal, name = (added(evening, package, fields) for fields in (TERMS, MEAL, NAME))
    bought = buy(evening, package, [answer(meal, ["Vegan", "Fish"]), answer(terms, True)])
    assert bought.status_code == 201, bought.text
    kept = [
        {"option_id": terms["id"], "label": "I accept the terms", "value": True, "ticket_id": None},
        {"option_id": meal["id"], "label": "Meal", "value": ["Vegan", "Fish"], "ticket_id": None},
        {"option_id": name["id"], "label": "Name on the badge", "value": None, "ticket_id": None},
    ]
    assert bought.json()["items"][0]["answers"] == kept
    path = f"/public/orders/{bought.json()['id']}"
    read = evening.client.get(path, headers={"X-Order-Token": bought.json()["access_token"]})
    assert read.json()["items"][0]["answers"] == kept
    rows = query(
        database_url, "SELECT value IS NULL FROM option_answers WHERE event_id = %s ORDER BY position", evening.id
    )
    assert rows == [(False,), (False,), (True,)]


def test_every_missing_or_wrong_answer_is_named_at_once(evening, database_url):
    package, other = evening.package(), evening.package()
    terms, meal, name = (added(evening, package, fields) for fields in (TERMS, MEAL, NAME))
    foreign = added(evening, other, NAME)
    before = event_state(database_url, evening.id)
    refused = buy(
        evening,
        package,
        [answer(terms, False), answer(meal, ["Fish", "Cake"]), answer(name, ["no text"]), answer(foreign, "x")],
    )
    problem = assert_problem(refused, 422, "invalid_answers")
    assert [(fault["pointer"], fault["code"]) for fault in problem["errors"]] == [
        ("/items/0/answers/3/option_id", "answer_unknown_option"),
        ("/items/0/answers/0/value", "answer_missing"),
        ("/items/0/answers/1/value", "answer_not_a_choice"),
        ("/items/0/answers/2/value", "answer_wrong_type"),
    ]
    nothing = assert_problem(buy(evening, package, []), 422, "invalid_answers")
    assert [fault["pointer"] for fault in nothing["errors"]] == ["/items/0/answers", "/items/0/answers"]
    assert event_state(database_url, evening.id) == before


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (["Fish", "Meat", "Vegan"], "answer_too_many_choices"),
        (["Fish", "Fish"], "answer_doubled"),
        (True, "answer_wrong_type"),
        ([], "answer_missing"),
        (None, "answer_missing"),
        ("", "answer_missing"),
        ("fish", "answer_not_a_choice"),
    ],
)
def test_choices_are_checked(evening, value, code):
    package = evening.package()
    meal = added(evening, package, MEAL)
    problem = assert_problem(buy(evening, package, [answer(meal, value)]), 422, "invalid_answers")
    assert [fault["code"] for fault in problem["errors"]] == [code]


def test_one_choice_may_be_given_without_a_list(evening):
    package = evening.package()
    meal = added(evening, package, MEAL)
    assert buy(evening, package, [answer(meal, "Meat")]).json()["items"][0]["answers"][0]["value"] == ["Meat"]


def test_a_text_of_five_hundred_letters_fits_and_one_more_does_not(evening):
    package = evening.package()
    name = added(evening, package, NAME)
    assert buy(evening, package, [answer(name, "x" * 500)]).status_code == 201
    assert_problem(buy(evening, package, [answer(name, "x" * 501)]), 422, "invalid_input")


@pytest.mark.parametrize("value", [5, {}, [5], ["Fish", "x" * 501], "x" * 501, "a\0b", [True]])
def test_what_can_be_no_answer_is_one_fault_at_its_place(evening, value):
    package = evening.package()
    name = added(evening, package, NAME)
    problem = assert_problem(buy(evening, package, [answer(name, value)]), 422, "invalid_input")
    assert [(fault["pointer"], fault["code"]) for fault in problem["errors"]] == [
        ("/items/0/answers/0/value", "answer_value")
    ]


def test_a_package_may_ask_each_ticket(evening):
    package = evening.package(seats_per_package=2, options_per="ticket")
    meal = added(evening, package, MEAL)
    bought = buy(evening, package, [answer(meal, ["Meat"], ticket=number) for number in (1, 3, 2, 4)], quantity=2)
    assert bought.status_code == 201, bought.text
    tickets = [ticket["id"] for ticket in bought.json()["tickets"]]
    assert [kept["ticket_id"] for kept in bought.json()["items"][0]["answers"]] == tickets
    short = buy(evening, package, [answer(meal, ["Meat"], ticket=1), answer(meal, ["Meat"], ticket=3)], quantity=1)
    problem = assert_problem(short, 422, "invalid_answers")
    assert {(fault["pointer"], fault["code"]) for fault in problem["errors"]} == {
        ("/items/0/answers/1/ticket", "answer_ticket_required"),
        ("/items/0/answers", "answer_missing"),
    }


def test_with_sales_an_option_is_retired_and_its_answers_stay(evening, database_url):
    package = evening.package()
    meal, fresh = added(evening, package, MEAL), evening.package()
    unused = added(evening, fresh, NAME)
    assert buy(evening, package, [answer(meal, ["Fish"])]).status_code == 201
    path = f"{options_of(evening, package)}/{meal['id']}"
    assert_problem(evening.client.delete(path, headers=evening.headers), 409, "option_has_answers")
    assert evening.client.patch(path, json={"is_active": False}, headers=evening.headers).status_code == 200
    assert buy(evening, package, []).status_code == 201
    assert query(database_url, "SELECT value FROM option_answers WHERE event_id = %s", evening.id) == [(["Fish"],)]
    gone = evening.client.delete(f"{options_of(evening, fresh)}/{unused['id']}", headers=evening.headers)
    assert gone.status_code == 204
    assert_problem(
        evening.client.delete(f"{options_of(evening, package)}/{UNKNOWN_ID}", headers=evening.headers),
        404,
        "option_not_found",
    )


def test_options_are_reordered_all_or_nothing(evening):
    package = evening.package()
    ids = [added(evening, package, NAME | {"label": f"Question {n}"})["id"] for n in range(3)]
    path = f"{options_of(evening, package)}/reorder"
    put = evening.client.put(path, json={"option_ids": ids[::-1]}, headers=evening.headers)
    assert [option["id"] for option in put.json()["items"]] == ids[::-1]
    assert_problem(
        evening.client.put(path, json={"option_ids": ids[:2]}, headers=evening.headers), 400, "reorder_mismatch"
    )
    listed = evening.client.get(options_of(evening, package), headers=evening.headers).json()["items"]
    assert [option["id"] for option in listed] == ids[::-1]
