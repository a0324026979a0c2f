"""Checks the answers to a package's options all at once; names every fault by its pointer (R-OPT-2, R-OPT-4). Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from shared.domain.orders.schemas import AnswerIn, AnswerValue
from shared.kit.errors import InputFault


@dataclass(frozen=True, slots=True)
class Option:
    """A question as it is asked at the moment of purchase."""

    id: UUID
    label: str
    type: str
    choices: tuple[str, ...]
    max_choices: int | None
    required: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """A checked answer; `ticket` counts from 0 and is None if the question is asked once for the whole item."""

    option: Option
    value: bool | str | list[str] | None
    ticket: int | None


def check_answers(
    options: Sequence[Option], given: Sequence[AnswerIn], *, tickets: int | None, pointer: str
) -> tuple[tuple[Answer, ...], list[InputFault]]:
    """Return an answer to every option (for each of `tickets`, if the package asks per ticket), and all faults.

    A required option needs an answer, and a required boolean needs `true`; a skipped optional one is answered with
    null. `pointer` is the place of the answers in the request.
    """
    faults: list[InputFault] = []
    values: dict[tuple[UUID, int | None], AnswerValue] = {}
    where: dict[tuple[UUID, int | None], str] = {}
    by_id = {option.id: option for option in options}
    for index, answer in enumerate(given):
        place = f"{pointer}/{index}"
        fault = _place_fault(answer, by_id, tickets)
        ticket = None if answer.ticket is None else answer.ticket - 1
        if fault is None and (answer.option_id, ticket) in values:
            fault = ("/option_id", "this option is answered twice", "answer_doubled")
        if fault is not None:
            faults.append(InputFault(place + fault[0], fault[1], fault[2]))
            continue
        values[answer.option_id, ticket] = answer.value
        where[answer.option_id, ticket] = f"{place}/value"
    checked = []
    for ticket in range(tickets) if tickets is not None else (None,):
        for option in options:
            key = (option.id, ticket)
            value, wrong = _value(option, values.get(key))
            faults += [InputFault(where.get(key, pointer), detail, code) for detail, code in wrong]
            checked.append(Answer(option, value, ticket))
    return tuple(checked), faults


def _place_fault(answer: AnswerIn, by_id: dict[UUID, Option], tickets: int | None) -> tuple[str, str, str] | None:
    if answer.option_id not in by_id:
        return "/option_id", "this package has no such option", "answer_unknown_option"
    if tickets is None and answer.ticket is not None:
        return "/ticket", "this package asks once, not per ticket", "answer_ticket_unexpected"
    if tickets is not None and (answer.ticket is None or answer.ticket > tickets):
        return "/ticket", f"name the ticket that this answers for, from 1 to {tickets}", "answer_ticket_required"
    return None


def _value(option: Option, value: AnswerValue) -> tuple[bool | str | list[str] | None, list[tuple[str, str]]]:
    """Return the value to keep, and what is wrong with it."""
    if isinstance(value, str):
        value = value.strip() or None
    if isinstance(value, str) and option.type == "multi_select":
        value = [value]
    if value is None or value == []:
        return None, [(f"“{option.label}” needs an answer", "answer_missing")] if option.required else []
    return value, list(_faults(option, value))


def _faults(option: Option, value: bool | str | list[str]) -> Iterator[tuple[str, str]]:  # noqa: FBT001 - an answer
    if option.type == "boolean":
        if not isinstance(value, bool):
            yield f"“{option.label}” is answered with true or false", "answer_wrong_type"
        elif option.required and not value:
            yield f"“{option.label}” must be agreed to", "answer_missing"
    elif option.type == "text_input":
        if not isinstance(value, str):
            yield f"“{option.label}” is answered with text", "answer_wrong_type"
    elif not isinstance(value, list):
        yield f"“{option.label}” is answered with choices", "answer_wrong_type"
    else:
        unknown = [choice for choice in value if choice not in option.choices]
        if unknown:
            yield f"“{option.label}” has no choice “{unknown[0]}”", "answer_not_a_choice"
        if len(set(value)) != len(value):
            yield f"a choice of “{option.label}” is named twice", "answer_doubled"
        if option.max_choices is not None and len(value) > option.max_choices:
            yield f"“{option.label}” takes at most {option.max_choices} choices", "answer_too_many_choices"
