"""The database's functions: each is a source file in the area that owns it, and migrations install it.

A change of a source needs a migration that installs it again; a test compares the installed functions with the sources.
A function whose parameters change gets a new name, because code of the previous release still calls the old one, which
the next release drops (`LEFT_FOR_THE_RELEASE_BEFORE`).
"""

from pathlib import Path

from alembic import op

_DOMAIN = Path(__file__).parent.parent / "domain"

LEFT_FOR_THE_RELEASE_BEFORE = frozenset({"claim_stock", "settle_stock", "retake_stock", "claim_for_customer"})
"""Functions without a source: only code older than migration 0013 calls them. The next release drops them."""


def sources() -> dict[str, str]:
    """Return every function's source text, by the function's name."""
    return {path.stem: path.read_text(encoding="utf-8") for path in sorted(_DOMAIN.glob("*/sql/*.sql"))}


def install(*names: str) -> None:
    """Create these functions, or replace the ones that exist; migrations call this."""
    texts = sources()
    for name in names:
        op.execute(texts[name])
