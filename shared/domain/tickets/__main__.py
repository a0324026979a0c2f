"""Makes a new key that signs ticket codes, and says how to change to it: `python -m shared.domain.tickets`.

Set TICKET_SIGNING_KEY (and TICKET_VERIFYING_KEYS) as the app has them, so that the printed lines fit the app. The
command changes nothing.
"""

import base64
import os
import secrets
import sys

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_STEPS = """\
A new key was made; it is shown this once:

  TICKET_SIGNING_KEY={seed}

1. Publish its public half before it signs: set this, and wait until every scanner has fetched
   the list (GET /api/v1/public/ticket-keys; five minutes, or the doors' next sync).

  TICKET_VERIFYING_KEYS={before}

2. Let it sign: set TICKET_SIGNING_KEY to the new key, and at the same time

  TICKET_VERIFYING_KEYS={after}

   Tickets that were sent before stay valid. Destroy the old TICKET_SIGNING_KEY: its public half
   is enough.
3. After the last event for which tickets were sent with the old key, remove that key from
   TICKET_VERIFYING_KEYS. From then on, codes that it has signed are invalid.

Does somebody else know the old key? Do step 2 at once, leave the old key out of
TICKET_VERIFYING_KEYS, and send the confirmations of coming events again: a code is signed again
whenever it is shown.
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
