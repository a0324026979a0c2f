"""Replacing the key that signs ticket codes, by the settings of real hosts: issued tickets stay valid (R-TKT-1)."""

import base64
import os
import re
import secrets
import subprocess
import sys

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from infra.local.home import REPOSITORY
from shared.domain.tickets.codes import PREFIX, TicketCode, key_id, read_code, sign_code
from tests.factories import open_evening


def a_seed():
    return base64.b64encode(secrets.token_bytes(32)).decode()


def public_text(seed):
    public = Ed25519PrivateKey.from_private_bytes(base64.b64decode(seed)).public_key()
    return base64.b64encode(public.public_bytes_raw()).decode()


def scanner(url):
    """The keys that a scanner has after it has asked for the list, by their ids."""
    answer = httpx.get(f"{url}/api/v1/public/ticket-keys", trust_env=False)
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "public, max-age=300")
    assert {(key["kty"], key["crv"], key["alg"], key["use"]) for key in answer.json()["keys"]} == {
        ("OKP", "Ed25519", "EdDSA", "sig")
    }
    found = {key["kid"]: base64.urlsafe_b64decode(key["x"] + "=") for key in answer.json()["keys"]}
    keys = [Ed25519PublicKey.from_public_bytes(raw) for raw in found.values()]
    assert [key_id(key).hex() for key in keys] == list(found)
    return keys


def shown(url, order):
    """The code of the order's ticket as a host shows it now."""
    path = f"{url}/api/v1/public/orders/{order['id']}"
    answer = httpx.get(path, headers={"X-Order-Token": order["access_token"]}, trust_env=False)
    return answer.json()["tickets"][0]["code"]


def test_a_key_is_replaced_step_by_step_and_tickets_that_are_out_stay_valid(
    start_host, host, client, issuer, app_environment
):
    evening = open_evening(client, issuer)
    order = evening.order((evening.package()["id"], 1))
    code = order["tickets"][0]["code"]
    old, new = app_environment["TICKET_SIGNING_KEY"], a_seed()
    at_first = scanner(host.url)
    ticket = read_code(code, *at_first)
    assert ticket is not None
    assert (code[:3], str(ticket.event_id), str(ticket.ticket_id)) == (PREFIX, evening.id, order["tickets"][0]["id"])

    rotated = start_host(
        http_only=True, TICKET_SIGNING_KEY=new, TICKET_VERIFYING_KEYS=f" {public_text(old)} , {public_text(new)},"
    )
    keys = scanner(rotated.url)
    assert [base64.b64encode(key.public_bytes_raw()).decode() for key in keys] == [public_text(new), public_text(old)]
    resigned = shown(rotated.url, order)
    assert resigned != code
    assert read_code(code, *keys) == read_code(resigned, *keys) == ticket
    assert read_code(resigned, *at_first) is None  # a scanner that does not know the key must ask for the list first

    # The old key is removed: codes that it has signed are not valid, and neither are forgeries with the new key's id.
    left = [keys[0]]
    assert read_code(code, *left) is None
    raw = base64.b32decode(code[3:])
    renamed = PREFIX + base64.b32encode(key_id(keys[0]) + raw[2:]).decode()
    assert read_code(renamed, *left) is None
    stranger = Ed25519PrivateKey.generate()
    forged = base64.b32decode(sign_code(TicketCode(ticket.event_id, ticket.ticket_id, 1), stranger)[3:])
    assert read_code(PREFIX + base64.b32encode(key_id(keys[0]) + forged[2:]).decode(), *keys) is None
    assert read_code(PREFIX + base64.b32encode(b"??" + forged[2:]).decode(), *keys) is None


def test_the_list_is_not_sent_again_to_who_has_it(client):
    first = client.get("/public/ticket-keys")
    again = client.get("/public/ticket-keys", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["Cache-Control"] == "public, max-age=300"


def test_the_command_makes_a_key_and_the_lines_that_fit_the_app():
    old, earlier = a_seed(), public_text(a_seed())
    environment = {"PATH": os.environ["PATH"], "TICKET_SIGNING_KEY": old, "TICKET_VERIFYING_KEYS": earlier}
    command = [sys.executable, "-m", "shared.domain.tickets"]
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=True)
    (seed,) = re.findall(r"TICKET_SIGNING_KEY=(\S+)", done.stdout)
    assert len(base64.b64decode(seed)) == 32
    before, after = re.findall(r"TICKET_VERIFYING_KEYS=(\S+)", done.stdout)
    assert (before, after) == (f"{earlier},{public_text(seed)}", f"{earlier},{public_text(old)}")
    assert old not in done.stdout
    spoilt = environment | {"TICKET_SIGNING_KEY": "not a key"}
    refused = subprocess.run(command, cwd=REPOSITORY, env=spoilt, capture_output=True, text=True, check=False)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "not a key" not in refused.stderr
