import json
import os
import re
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from infra.local.host.settings import BadConfiguration

type Names = Mapping[str, Any]
"""The values that binding expressions may name, by lower-case name; `{a.b}` reaches into a dictionary."""

_DOTNET_DATES = (
    ("yyyy", "%Y"), ("yy", "%y"), ("MMMM", "%B"), ("MMM", "%b"), ("MM", "%m"), ("dddd", "%A"), ("ddd", "%a"),
    ("dd", "%d"), ("HH", "%H"), ("hh", "%I"), ("mm", "%M"), ("ss", "%S"), ("fff", "%f"), ("tt", "%p"),
)  # fmt: skip


def expand_settings(text: str) -> str:
    """Replace each %SETTING% by its value.

    Raises BadConfiguration when a setting is missing.
    """

    def value(match: re.Match[str]) -> str:
        try:
            return os.environ[match[1]]
        except KeyError:
            raise BadConfiguration(f"'%{match[1]}%' does not resolve to a value: there is no such setting") from None

    return re.sub(r"%([^%\s]+)%", value, text)


def expand(text: str, names: Names) -> str:
    """Replace %SETTING% and each {expression}: a name, {rand-guid}, {datetime}, {datetime:yyyy-MM-dd}, {a.b}.

    Raises BadConfiguration for a name that is not known.
    """
    return re.sub(r"\{([^{}]+)\}", lambda match: _value(match[1], names), expand_settings(text))


def _value(expression: str, names: Names) -> str:
    name, _, form = expression.partition(":")
    lowered = name.strip().lower()
    found: Any = names
    for part in (lowered,) if lowered in names else lowered.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    if found is not None:
        return found if isinstance(found, str) else json.dumps(found)
    if lowered in {"rand-guid", "sys.randguid"}:
        return _guid(form)
    if lowered in {"datetime", "sys.utcnow"}:
        return _now(form or "yyyy-MM-ddTHH-mm-ssZ")
    raise BadConfiguration(f"the binding expression {{{expression}}} names nothing that this trigger knows")


def _guid(form: str) -> str:
    value = str(uuid.uuid4())
    return {"N": value.replace("-", ""), "B": f"{{{value}}}", "P": f"({value})"}.get(form.upper(), value)


def _now(form: str) -> str:
    pattern = re.compile("|".join(token for token, _ in _DOTNET_DATES))
    codes = dict(_DOTNET_DATES)
    now = datetime.now(UTC)
    return pattern.sub(lambda match: _date_part(now, codes[match[0]]), form)


def _date_part(now: datetime, code: str) -> str:
    return now.strftime(code)[:3] if code == "%f" else now.strftime(code)


def lower_keys(value: Any) -> Any:
    """Return the value with the keys of all its dictionaries in lower case."""
    if isinstance(value, dict):
        return {str(key).lower(): lower_keys(item) for key, item in value.items()}
    return value


def json_names(text: str | bytes) -> dict[str, Any]:
    """Return the properties of a JSON object as names; return none if the text is no JSON object."""
    try:
        content = json.loads(text)
    except ValueError:
        return {}
    return lower_keys(content) if isinstance(content, dict) else {}


def http_names(
    params: Mapping[str, str], query: Mapping[str, str], headers: Mapping[str, str], body: bytes
) -> dict[str, Any]:
    """Return the names that an HTTP request offers: route parameters, `query.x`, `headers.x`, and a JSON body's."""
    return {
        **json_names(body),
        **lower_keys(dict(params)),
        "query": lower_keys(dict(query)),
        "headers": lower_keys(dict(headers)),
    }


def path_pattern(path: str) -> tuple[str, re.Pattern[str], str]:
    """Split a blob path like `uploads/{dir}/{name}.png` into its container, the names' pattern, and their fixed prefix.

    Raises BadConfiguration if the container itself is an expression.
    """
    container, _, rest = expand_settings(path).strip("/").partition("/")
    if "{" in container:
        raise BadConfiguration(f"the container of a blob trigger must be fixed: {path!r}")
    pieces = re.split(r"\{(\w+)\}", rest or "{name}")
    pattern = "".join(f"(?P<{piece}>.+)" if index % 2 else re.escape(piece) for index, piece in enumerate(pieces))
    return container, re.compile(pattern, re.DOTALL), pieces[0]
