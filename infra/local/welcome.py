"""The text that greets whoever has started the system."""

from infra.local.environment import ServiceAddresses
from infra.local.home import Home
from infra.local.tokens import DEMO_NAMES


def welcome(addresses: ServiceAddresses, home: Home, *, seconds: float | None) -> str:
    """Addresses, people to sign in as, and lines to paste."""
    api = f"{addresses.public}/api/v1"
    ready = "Ready" if seconds is None else f"Ready after {seconds:.1f} s"
    people = "\n".join(f"    {email:<24} {name}" for email, name in DEMO_NAMES.items())
    return f"""
{ready}. Ctrl-C (or `make stop` elsewhere) stops everything; the data stays.

  API        {api}
  Docs       {api}/docs
  Database   psql {addresses.database}
  Mail       {home.mail}
  Logs       {home.logs}

  Demo users (`make -s token AS=<email>` prints a token for one):
{people}

  Try, in another terminal in this folder:
    curl -s {api}/public/events
    TOKEN=$(make -s token AS=coordinator@demo.test)
    curl -s {api}/admin/events -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \\
      -d '{{"title": "Autumn Gala", "slug": "autumn-gala", "starts_at": "2027-10-08T18:00:00Z", \
"ends_at": "2027-10-08T22:00:00Z", "timezone": "Europe/Zurich", "currency": "CHF"}}'
"""
