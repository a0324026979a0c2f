"""Writes the guide and the example file from the settings' own descriptions: `make settings`."""

import json
from collections.abc import Iterator
from pathlib import Path

from pydantic_core import PydanticUndefined

from shared.kit.settings.group import Group, is_secret, variable_name
from shared.settings import GROUPS

ROOT = Path(__file__).resolve().parents[2]
GUIDE = ROOT / "docs" / "settings.md"
EXAMPLE = ROOT / "local.settings.example.json"

_HEAD = """# Settings

Settings come from the environment: on Azure from the function app's settings (secrets as Key Vault references), locally
from `make dev`, or from `local.settings.json` with Azure Functions Core Tools (copy `local.settings.example.json`).
A missing or bad one stops the start with its name and what is expected. **Secret** ones are never shown by the app:
keep them in Key Vault ([deploying](deploying.md#2-settings)).

Schedules have six fields in UTC: second, minute, hour, day, month, weekday
([what the timers cost](deploying.md#7-what-it-costs-while-nobody-buys)).

This page is written by `make settings` from the groups that `shared/settings.py` lists.
"""
_TABLE = """
## {heading}

| Name | Default | Meaning |
|---|---|---|
"""


def guide() -> str:
    """The page about the settings."""
    return _HEAD + "".join(_TABLE.format(heading=group.heading) + "".join(_rows(group)) for group in GROUPS)


def _rows(group: type[Group]) -> Iterator[str]:
    for field, info in group.model_fields.items():
        if info.is_required():
            default = "required"
        elif info.default in {None, "", PydanticUndefined}:
            default = ""
        else:
            default = f"`{str(info.default).lower() if isinstance(info.default, bool) else info.default}`"
        secret = " **Secret.**" if is_secret(group, field) else ""
        yield f"| `{variable_name(group, field)}` | {default} | {info.description}{secret} |\n"


def example() -> str:
    """Settings for a start with Azure Functions Core Tools; the services run as `make dev` starts them."""
    values = {"FUNCTIONS_WORKER_RUNTIME": "python", "ENVIRONMENT": "local"}
    fields = [(group, field) for group in GROUPS for field in group.model_fields]
    for group, field in fields:
        name, info = variable_name(group, field), group.model_fields[field]
        if name in values or name.endswith("__accountName"):
            continue
        if info.examples:
            values[name] = info.examples[0]
        elif info.default is not None and info.default is not PydanticUndefined:
            values[name] = str(info.default).lower() if isinstance(info.default, bool) else str(info.default)
    values["BLOB_TRIGGER_SOURCE"] = "LogsAndContainerScan"
    return json.dumps({"IsEncrypted": False, "Values": values}, indent=2) + "\n"


if __name__ == "__main__":
    GUIDE.write_text(guide(), encoding="utf-8")
    EXAMPLE.write_text(example(), encoding="utf-8")
