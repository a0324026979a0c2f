"""The servers that tests get: each worker has its own, and nothing is shared by accident."""

import smtplib
from typing import Any

import httpx
import jwt
import psycopg
import redis

from infra.local.services.issuer import Issuer


def test_the_database_of_a_worker_is_its_own(database_url, worker_name):
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT current_database()").fetchone() == (f"boxoffice_{worker_name}",)


def test_a_fresh_database_holds_nothing_of_another_one(new_database):
    first, second = new_database(), new_database()
    with psycopg.connect(first, autocommit=True) as connection:
        connection.execute("CREATE TABLE only_here ()")
    with psycopg.connect(second) as connection:
        assert connection.execute("SELECT to_regclass('only_here')").fetchone() == (None,)


def test_redis_answers(redis_url):
    with redis.Redis.from_url(redis_url) as connection:
        connection.set("greeting", "hello")
        assert connection.get("greeting") == b"hello"


def test_storage_belongs_to_the_worker(storage, worker_name):
    from azure.storage.blob import BlobServiceClient

    with BlobServiceClient.from_connection_string(storage) as client:
        assert client.account_name == f"test{worker_name}"
        client.create_container("only-here")
        assert "only-here" in [container.name for container in client.list_containers()]


def test_a_mail_arrives_in_the_mail_box(mail_sink, mail_box):
    with smtplib.SMTP("127.0.0.1", mail_sink.port) as connection:
        connection.sendmail("from@demo.test", ["to@demo.test"], "Subject: Your ticket\r\nTo: to@demo.test\r\n\r\nHi")
    found = mail_box.wait_for(lambda message: message["Subject"] == "Your ticket")
    assert (found["X-Envelope-To"], found.get_content().strip()) == ("to@demo.test", "Hi")


def test_a_rotated_key_voids_older_tokens(issuer):
    old = issuer.token("customer@demo.test")
    assert decoded(old, issuer)["email"] == "customer@demo.test"
    issuer.rotate()
    new = issuer.token("customer@demo.test", name="Someone Else")
    assert decoded(new, issuer)["name"] == "Someone Else"
    published = httpx.get(f"{issuer.url}/jwks.json").json()["keys"]
    assert [key["kid"] for key in published] == [jwt.get_unverified_header(new)["kid"]]
    assert jwt.get_unverified_header(old)["kid"] not in [key["kid"] for key in published]


def decoded(token: str, issuer: Issuer) -> dict[str, Any]:
    discovery = httpx.get(f"{issuer.url}/.well-known/openid-configuration").json()
    key = jwt.PyJWKClient(discovery["jwks_uri"]).get_signing_key_from_jwt(token)
    return jwt.decode(token, key, algorithms=["ES256"], audience="boxoffice", issuer=discovery["issuer"])
