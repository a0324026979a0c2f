"""The text that greets the person who has started the system."""

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

  Try, in another terminal in this folder (the README goes on from there):
    API={api}
    curl -s $API/public/events/spring-benefit-gala
    EVENT=$(curl -s $API/public/events/spring-benefit-gala | python3 -c 'import json; print(json.loads(input())["id"])')
    curl -s $API/public/events/$EVENT/ticket-packages
    TOKEN=$(make -s token AS=coordinator@demo.test)
    SHOWCASE=$(curl -s $API/public/events/winter-showcase | python3 -c 'import json; print(json.loads(input())["id"])')
    curl -s $API/admin/events/$SHOWCASE/ticket-packages/sales-summary -H "Authorization: Bearer $TOKEN"
"""
