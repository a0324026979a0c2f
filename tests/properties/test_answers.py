"""Answers to options: an independent reading of the rules finds the same faults, all at once (R-OPT-2, R-OPT-4)."""

from collections import Counter
from typing import Any
from uuid import UUID

from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.domain.orders.lines.answers import Option, check_answers
from shared.domain.orders.schemas import AnswerIn

POINTER = "/items/3/answers"
FOREIGN = UUID(int=77)
CHOICES = ["Fish", "Meat", "Vegan", "Nothing"]


@st.composite
def options(draw: Any) -> list[Option]:
    made = []
    for number in range(draw(st.integers(0, 4))):
        kind = draw(st.sampled_from(["boolean", "multi_select", "text_input"]))
        choices = tuple(CHOICES[: draw(st.integers(2, 4))]) if kind == "multi_select" else ()
        most = draw(st.integers(1, len(choices))) if choices else None
        made.append(Option(UUID(int=number + 1), f"Question {number}", kind, choices, most, draw(st.booleans())))
    return made


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([*CHOICES, "fish", "", "   ", " Fish ", "Any text", "x" * 500]),
    st.lists(st.sampled_from([*CHOICES, "Cake", ""]), max_size=5),
)


@st.composite
def questionnaires(draw: Any) -> tuple[list[Option], list[AnswerIn], int | None]:
    """Options and answers: one for each active option, some left out, some random ones added, in any order."""
    asked = draw(options())
    tickets = draw(st.none() | st.integers(1, 4))
    slots = [
        (option.id, ticket) for option in asked for ticket in ([None] if tickets is None else range(1, tickets + 1))
    ]
    given_to = [slot for slot in slots if draw(st.integers(0, 5))]
    strays = st.tuples(st.sampled_from([*(option.id for option in asked), FOREIGN]), st.none() | st.integers(1, 6))
    given_to += draw(st.lists(strays, max_size=3))
    by_id = {option.id: option for option in asked}
    answers = []
    for option_id, ticket in draw(st.permutations(given_to)):
        option = by_id.get(option_id)
        value = draw(st.one_of(fitting_values(option), nearly_fitting_values(option), VALUES) if option else VALUES)
        answers.append(AnswerIn(option_id=option_id, value=value, ticket=ticket))
    return asked, answers, tickets


def fitting_values(option: Option) -> st.SearchStrategy[Any]:
    if option.type == "boolean":
        return st.just(True) if option.required else st.booleans()
    if option.type == "text_input":
        return st.sampled_from(["Ann", "x" * 500, "two\nlines"])
    return st.lists(st.sampled_from(option.choices), min_size=1, max_size=option.max_choices, unique=True)


def nearly_fitting_values(option: Option) -> st.SearchStrategy[Any]:
    """A value with at most one fault: one choice too many, a choice named twice, or a single choice without a list."""
    if option.type != "multi_select":
        return st.sampled_from([False, None, "", []])
    most = (option.max_choices or 0) + 1
    choice = st.sampled_from(option.choices)
    return st.one_of(choice, st.lists(choice, max_size=most), st.lists(choice, max_size=most, unique=True))


def expected(asked: list[Option], given: list[AnswerIn], tickets: int | None) -> tuple[list[Any], Counter[Any]]:
    """The kept values, one for each option (of each ticket in turn), and how often each fault is at each place."""
    faults: Counter[tuple[str, str]] = Counter()
    slots = [
        (option.id, ticket) for ticket in ([None] if tickets is None else range(1, tickets + 1)) for option in asked
    ]
    first: dict[Any, int] = {}
    for index, answer in enumerate(given):
        slot = (answer.option_id, answer.ticket)
        if answer.option_id not in {option.id for option in asked}:
            faults[f"{POINTER}/{index}/option_id", "answer_unknown_option"] += 1
        elif slot not in slots:
            code = "answer_ticket_unexpected" if tickets is None else "answer_ticket_required"
            faults[f"{POINTER}/{index}/ticket", code] += 1
        elif slot in first:
            faults[f"{POINTER}/{index}/option_id", "answer_doubled"] += 1
        else:
            first[slot] = index
    by_id = {option.id: option for option in asked}
    kept: list[Any] = []
    for slot in slots:
        at = f"{POINTER}/{first[slot]}/value" if slot in first else POINTER
        value = given[first[slot]].value if slot in first else None
        codes = wrong_with(by_id[slot[0]], value)
        faults.update((at, code) for code in codes)
        kept.append(in_its_form(by_id[slot[0]], value))
    return kept, faults


def in_its_form(option: Option, value: Any) -> Any:
    if value in (None, "", []):
        return None
    return [value] if option.type == "multi_select" and isinstance(value, str) else value


def wrong_with(option: Option, value: Any) -> list[str]:
    value = in_its_form(option, value)
    if value is None:
        return ["answer_missing"] if option.required else []
    right_type = {"boolean": bool, "text_input": str, "multi_select": list}[option.type]
    if not isinstance(value, right_type):
        return ["answer_wrong_type"]
    if option.type == "boolean":
        return ["answer_missing"] if option.required and value is False else []
    if not isinstance(value, list):
        return []
    wrong = ["answer_not_a_choice"] if set(value) - set(option.choices) else []
    wrong += ["answer_doubled"] if max(Counter(value).values()) > 1 else []
    return wrong + (["answer_too_many_choices"] if len(value) > (option.max_choices or 0) else [])


@settings(max_examples=300)
@given(asking=questionnaires())
@example(asking=([], [AnswerIn(option_id=FOREIGN, value=None)], None))
@example(asking=([Option(UUID(int=1), "Agree", "boolean", (), None, True)], [], 3))
def test_every_fault_is_named_at_once_and_valid_answers_come_back_one_an_option(asking):
    asked, given_answers, tickets = asking
    kept, faults = expected(asked, given_answers, tickets)
    checked, found = check_answers(asked, given_answers, tickets=tickets, pointer=POINTER)
    assert Counter((fault.pointer, fault.code) for fault in found) == faults
    assert all(fault.detail for fault in found)
    seats = [None] if tickets is None else range(tickets)
    assert [(answer.option, answer.ticket) for answer in checked] == [(o, seat) for seat in seats for o in asked]
    if not faults:
        assert [answer.value for answer in checked] == kept
        assert [type(answer.value) for answer in checked] == [type(value) for value in kept]
        assert all(answer.value is not None for answer in checked if answer.option.required)


@given(asking=questionnaires())
def test_answers_mean_the_same_in_whatever_order_they_come(asking):
    asked, given_answers, tickets = asking
    slots = [(answer.option_id, answer.ticket) for answer in given_answers]
    if len(set(slots)) == len(slots):
        one, faults = check_answers(asked, given_answers, tickets=tickets, pointer=POINTER)
        other, same_faults = check_answers(asked, given_answers[::-1], tickets=tickets, pointer=POINTER)
        assert one == other
        assert Counter(fault.code for fault in faults) == Counter(fault.code for fault in same_faults)
