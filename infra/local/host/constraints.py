import re
from collections.abc import Callable
from datetime import datetime

type Constraint = Callable[[str], bool]


def _within(value: str, low: int, high: int) -> bool:
    return re.fullmatch(r"[+-]?\d{1,20}", value, re.ASCII) is not None and low <= int(value) <= high


def _is_datetime(value: str) -> bool:
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


_SIMPLE: dict[str, Constraint] = {
    "alpha": re.compile(r"[A-Za-z]*").fullmatch,  # type: ignore[dict-item]  # a match counts as True
    "bool": lambda value: value.lower() in {"true", "false"},
    "datetime": _is_datetime,
    "decimal": re.compile(r"[+-]?\d+(\.\d+)?", re.ASCII).fullmatch,  # type: ignore[dict-item]
    "double": re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII).fullmatch,  # type: ignore[dict-item]
    "float": re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII).fullmatch,  # type: ignore[dict-item]
    "guid": re.compile(r"[0-9a-fA-F]{32}|[({]?[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}[)}]?").fullmatch,  # type: ignore[dict-item]
    "int": lambda value: _within(value, -(2**31), 2**31 - 1),
    "long": lambda value: _within(value, -(2**63), 2**63 - 1),
    "required": bool,
}


def parse_constraint(text: str) -> Constraint:
    """Return the check that a route constraint stands for, such as `int`, `length(2,5)` or `regex(^a.*$)`.

    Raises ValueError when Azure Functions has no such constraint.
    """
    simple = _SIMPLE.get(text)
    if simple is not None:
        return simple
    match = re.fullmatch(r"(\w+)\((.*)\)", text, re.DOTALL)
    if match is None:
        raise ValueError(f"there is no route constraint {text!r}")
    name, argument = match.groups()
    if name == "regex":
        expression = re.compile(argument.replace("{{", "{").replace("}}", "}"), re.IGNORECASE)
        return lambda value: expression.search(value) is not None
    return _with_numbers(name, [int(number) for number in argument.split(",")])


def _with_numbers(name: str, numbers: list[int]) -> Constraint:
    first, last = numbers[0], numbers[-1]
    checks: dict[tuple[str, int], Constraint] = {
        ("length", 1): lambda value: len(value) == first,
        ("length", 2): lambda value: first <= len(value) <= last,
        ("max", 1): lambda value: _within(value, -(2**63), first),
        ("maxlength", 1): lambda value: len(value) <= first,
        ("min", 1): lambda value: _within(value, first, 2**63 - 1),
        ("minlength", 1): lambda value: len(value) >= first,
        ("range", 2): lambda value: _within(value, first, last),
    }
    check = checks.get((name, len(numbers)))
    if check is None:
        raise ValueError(f"there is no route constraint {name!r} with {len(numbers)} numbers")
    return check
