"""The database's functions: each is a source file in the area that owns it, and migrations install it.

Whoever changes a source adds a migration that installs it again; a test compares what is installed with the source. A
function whose parameters change gets another name, because the release before goes on calling the old one until the
next release drops it (`LEFT_FOR_THE_RELEASE_BEFORE`).
"""

from pathlib import Path

from alembic import op

_DOMAIN = Path(__file__).parent.parent / "domain"

LEFT_FOR_THE_RELEASE_BEFORE = frozenset({"claim_stock", "settle_stock", "retake_stock", "claim_for_customer"})
"""Functions without a source: only code older than migration 0013 calls them. The next release drops them."""


def sources() -> dict[str, str]:
    """Every function's source text, by the function's name."""
    return {path.stem: path.read_text(encoding="utf-8") for path in sorted(_DOMAIN.glob("*/sql/*.sql"))}


def install(*names: str) -> None:
    """Create these functions, or replace what is there; for migrations."""
    texts = sources()
    for name in names:
        op.execute(texts[name])
