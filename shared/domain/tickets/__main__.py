"""Makes a new key that signs ticket codes, and says how to go over to it: `python -m shared.domain.tickets`.

With TICKET_SIGNING_KEY (and TICKET_VERIFYING_KEYS) set as the app has them, the lines fit the app; nothing is changed.
"""

import base64
import os
import secrets
import sys

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_STEPS = """\
A new key was made; it is shown this once:

  TICKET_SIGNING_KEY={seed}

1. Let everybody know its public half before it signs: set this, and wait until every scanner
   has asked for the list (GET /api/v1/public/ticket-keys; five minutes, or the doors' next sync).

  TICKET_VERIFYING_KEYS={before}

2. Let it sign: set TICKET_SIGNING_KEY to the new key, and at the same time

  TICKET_VERIFYING_KEYS={after}

   Tickets that are out stay valid. Destroy the old TICKET_SIGNING_KEY: its public half is enough.
3. When the last event is over whose tickets were sent with the old key, take it out of
   TICKET_VERIFYING_KEYS. What it has signed is worth nothing from then on.

Has the old key become known? Do 2 at once without it in TICKET_VERIFYING_KEYS, and send the
confirmations of coming events again: a code is made anew whenever it is shown.
"""


def main() -> int:
    """Print the key and the steps."""
    seed = secrets.token_bytes(32)
    current = os.environ.get("TICKET_SIGNING_KEY")
    others = [key for key in os.environ.get("TICKET_VERIFYING_KEYS", "").replace(" ", "").split(",") if key]
    try:
        old = _public(base64.b64decode(current, validate=True)) if current else "<public half of the old key>"
    except ValueError:
        sys.stderr.write("TICKET_SIGNING_KEY is not 32 bytes in base64.\n")
        return 2
    before, after = ",".join([*others, _public(seed)]), ",".join([*others, old])
    sys.stdout.write(_STEPS.format(seed=base64.b64encode(seed).decode(), before=before, after=after))
    return 0


def _public(seed: bytes) -> str:
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key()
    return base64.b64encode(public.public_bytes_raw()).decode()


if __name__ == "__main__":
    sys.exit(main())
