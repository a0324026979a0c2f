"""How settings are read: in groups, once a process, from the environment, typed and checked.

Each part of the app declares its group as a `Group`, next to a function that reads it. A missing or bad setting stops
the start; the error gives its name and what is expected. The texts in `docs/settings.md` and
`local.settings.example.json` are the descriptions of the fields.
"""

import logging
import os
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, cast

from pydantic import BaseModel, ConfigDict, PrivateAttr, ValidationError

log = logging.getLogger(__name__)

_REFERENCE = "@Microsoft.KeyVault("
_NOT_RESOLVED = (
    "is a Key Vault reference that was not resolved. May the app's identity read the secret, and is the address right?"
)


class SettingsError(RuntimeError):
    """A setting is missing or bad; the message names each one and what is expected."""


class Group(BaseModel):
    """Settings that belong together. A field's name in capitals, or its alias, is the environment's name for it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    heading: ClassVar[str]
    """The heading of the group in the guide."""
    can_do_without: ClassVar[frozenset[str]] = frozenset()
    """The fields whose Key Vault references may stay unresolved. An unresolved one in another field stops the start."""

    _unresolved_references: tuple[str, ...] = PrivateAttr(())

    @property
    def unresolved_references(self) -> tuple[str, ...]:
        """The names of settings that the app runs without, because their Key Vault references were not resolved."""
        return self._unresolved_references


def is_secret(group: type[Group], field: str) -> bool:
    """Whether a field is never shown; such a setting belongs in a vault."""
    return not group.model_fields[field].repr


def variable_name(group: type[Group], field: str) -> str:
    """Return the environment variable of a field."""
    return group.model_fields[field].alias or field.upper()


def load[G: Group](group: type[G], environment: Mapping[str, str]) -> G:
    """Read one group from `environment`; raises one `SettingsError` that names every missing or bad setting of it."""
    return cast("G", load_all([group], environment)[group])


def load_all(groups: Iterable[type[Group]], environment: Mapping[str, str]) -> dict[type[Group], Group]:
    """Read the groups from `environment`; raises one `SettingsError` that names what is wrong.

    It names every missing or bad setting. Of a group with unresolved Key Vault references it names those alone.
    """
    found: dict[type[Group], Group] = {}
    faults: list[str] = []
    wanting: list[str] = []
    for group in groups:
        given, unresolved = _given(group, environment)
        not_resolved = [f"{name}: {_NOT_RESOLVED}" for name in unresolved.values()]
        if not group.can_do_without.issuperset(unresolved):
            faults += not_resolved
            continue
        wanting += not_resolved
        try:
            found[group] = group.model_validate(given)
        except ValidationError as error:
            faults += _explain(group, error)
        else:
            found[group]._unresolved_references = tuple(unresolved.values())  # noqa: SLF001 - this attribute is not a setting
    if faults:
        lines = "\n  ".join(faults + wanting)
        raise SettingsError(f"Boxoffice can't start; these settings need attention:\n  {lines}")
    return found


def _given(group: type[Group], environment: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the group's values in the environment, and the variables with unresolved references by their field."""
    given: dict[str, Any] = {}
    unresolved: dict[str, str] = {}
    for field, info in group.model_fields.items():
        name = variable_name(group, field)
        value = environment.get(name)
        # Azure passes on the text of a reference that it can't resolve. That text is no secret, and it is of no use.
        if value and value.strip().startswith(_REFERENCE):
            unresolved[field] = name
        elif value:
            given[info.alias or field] = value
    return given, unresolved


def _explain(group: type[Group], error: ValidationError) -> list[str]:
    lines = []
    for fault in error.errors(include_url=False, include_input=False):
        told = str(fault["loc"][0]) if fault["loc"] else ""
        field = next((field for field, info in group.model_fields.items() if told in {field, info.alias}), None)
        info = group.model_fields[field] if field else None
        name = variable_name(group, field) if field else told
        problem = "is missing" if fault["type"] == "missing" else fault["msg"].removeprefix("Value error, ")
        expected = f" Expected: {info.description}" if info and info.description else ""
        lines.append(f"{name}: {problem}.{expected}" if name else problem)
    return lines


_read: dict[type[Group], Group] = {}
"""The settings that this process has read."""


def read[G: Group](group: type[G]) -> G:
    """Return the process's settings of a group, read from the environment at the first call."""
    if group not in _read:
        read_all([group])
    return cast("G", _read[group])


def read_all(groups: Iterable[type[Group]]) -> None:
    """Read the groups that the process has not read yet, and log which settings it runs without.

    Raises one `SettingsError` that names every fault in any of them.
    """
    found = load_all([group for group in groups if group not in _read], os.environ)
    _read.update(found)
    for group in found.values():
        for name in group.unresolved_references:
            log.error("%s %s The app runs without it.", name, _NOT_RESOLVED)


def unresolved_references() -> list[str]:
    """Return the names of all settings that this process runs without, because their references were not resolved."""
    return [name for group in _read.values() for name in group.unresolved_references]
