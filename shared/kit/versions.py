"""Versions of the things that people edit."""

from shared.kit.errors import StaleVersion

type IfMatch = frozenset[int] | None
"""The versions that an editor accepts; None accepts any version."""


def require_version(current: int, if_match: IfMatch) -> None:
    """Raise `StaleVersion` unless `if_match` accepts the current version."""
    if if_match is not None and current not in if_match:
        raise StaleVersion(current_version=current)
