from collections.abc import Sequence
from typing import Any

_TITLES = {"httpTrigger": "HTTP", "timerTrigger": "Timers", "queueTrigger": "Queues", "blobTrigger": "Blobs"}


def show_functions(functions: Sequence[dict[str, Any]]) -> None:
    """Print the functions by kind of trigger, one aligned line each."""
    print(f"Functions ({len(functions)})")
    width = max(len(function["name"]) for function in functions)
    methods_width = max(len(_methods(function)) for function in functions)
    kinds = [*_TITLES, *sorted({function["kind"] for function in functions} - _TITLES.keys())]
    for kind in kinds:
        of_kind = [function for function in functions if function["kind"] == kind]
        if of_kind:
            print(f"\n  {_TITLES.get(kind, kind)}")
        for function in sorted(of_kind, key=lambda f: (f["where"], f["methods"])):
            methods = f"{_methods(function):{methods_width}}  " if kind == "httpTrigger" else ""
            print(f"    {function['name']:{width}}  {methods}{function['where']}{_notes(function)}")


def _methods(function: dict[str, Any]) -> str:
    if function["kind"] != "httpTrigger":
        return ""
    return ",".join(function["methods"]) or "any"


def _notes(function: dict[str, Any]) -> str:
    notes = [f"{function['level']} key"] if function["level"] != "anonymous" else []
    notes += ["disabled"] if function["disabled"] else []
    return f"  ({', '.join(notes)})" if notes else ""
