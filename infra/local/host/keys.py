import hmac
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from infra.local.host.settings import BadConfiguration


@dataclass(frozen=True)
class Keys:
    """The keys that callers show: the master key, the key of all functions, and keys of single functions."""

    master: str
    default: str
    functions: Mapping[str, str]

    def is_master(self, key: str | None) -> bool:
        """Tell whether this is the master key."""
        return key is not None and _same(key, self.master)

    def opens(self, function_name: str, auth_level: str, key: str | None) -> bool:
        """Tell whether the key admits a caller to a function of that level (anonymous, function or admin)."""
        if auth_level == "anonymous":
            return True
        if key is None:
            return False
        if _same(key, self.master):
            return True
        if auth_level == "admin":
            return False
        own = self.functions.get(function_name)
        return _same(key, self.default) or (own is not None and _same(key, own))


def load_keys(path: Path) -> Keys:
    """Read the keys, or make them and write them to a file that only its owner may read.

    Raises BadConfiguration when the file is there but cannot be used.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        _create(path)
    try:
        content = json.loads(path.read_text("utf-8"))
        return Keys(str(content["master"]), str(content["default"]), dict(content.get("functions", {})))
    except (ValueError, KeyError, TypeError) as error:
        raise BadConfiguration(f"{path} holds no usable function keys ({error}); delete it to get new ones") from error


def _create(path: Path) -> None:
    content = {"master": secrets.token_urlsafe(32), "default": secrets.token_urlsafe(32), "functions": {}}
    draft = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(content, file, indent=2)
    try:
        os.link(draft, path)  # two hosts that start at once agree on the first one's keys
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "surrogateescape"), other.encode())
