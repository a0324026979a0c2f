"""Versions of what people edit."""

from shared.kit.errors import StaleVersion

type IfMatch = frozenset[int] | None
"""The versions that an editor is content with; None is content with any."""


def require_version(current: int, if_match: IfMatch) -> None:
    """Raise `StaleVersion` when the editor has seen another version than the current one."""
    if if_match is not None and current not in if_match:
        raise StaleVersion(current_version=current)
