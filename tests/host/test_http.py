import os
import re
import socket
import stat

import httpx
import pytest

from tests.harness.polling import poll
from tests.host.harness import RunningHost


def test_a_function_answers_on_its_route(host: RunningHost):
    response = host.get("/api/hello")

    assert (response.status_code, response.text) == (200, "hello")
    assert response.headers["content-type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize(
    ("path", "function"),
    [
        ("/api/things/special", "special_thing"),
        ("/api/Things/SPECIAL/", "special_thing"),
        ("/api/things/0f8fad5b-d9cb-469f-a165-70867728950e", "thing_by_guid"),
        ("/api/things/other", "thing_by_name"),
        ("/api/echo", "echo"),
        ("/api/echo/a/b/c", "echo"),
    ],
)
def test_the_most_specific_route_answers(host: RunningHost, path: str, function: str):
    assert host.get(path).json()["function"] == function


def test_an_unknown_path_is_not_found(host: RunningHost):
    assert host.get("/api/nowhere").status_code == 404
    assert host.get("/api/things").status_code == 404
    assert host.get("/").status_code == 404


def test_a_method_that_no_function_takes_is_refused_with_those_that_are(host: RunningHost):
    response = host.request("PUT", "/api/things/special")

    assert response.status_code == 405
    assert response.headers["allow"] == "DELETE, GET"
    assert host.request("HEAD", "/api/hello").status_code == 405


def test_a_method_falls_through_to_the_next_best_route_that_takes_it(host: RunningHost):
    assert host.request("DELETE", "/api/things/special").json()["function"] == "thing_by_name"


def test_an_encoded_slash_does_not_change_the_route(host: RunningHost):
    answer = host.get("/api/things/a%2Fb%20%C5%BC").json()

    assert answer["function"] == "thing_by_name"
    assert answer["route"] == {"name": "a%2Fb ż"}


def test_dot_segments_do_not_reach_functions(host: RunningHost):
    with socket.create_connection(("127.0.0.1", int(host.url.rpartition(":")[2]))) as raw:
        raw.sendall(b"GET /api/echo/%2e%2e/../api/hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert raw.makefile("rb").read().endswith(b"hello")


def test_repeated_query_parameters_and_headers_are_joined(host: RunningHost):
    headers = [("X-Tag", "one"), ("X-Tag", "two"), ("X-Forwarded-For", "192.0.2.1")]

    answer = host.get("/api/echo?x=1&y=a+b%C5%BC&x=2&empty", headers=headers).json()

    assert answer["query"] == {"x": "1,2", "y": "a bż", "empty": ""}
    assert answer["headers"]["x-tag"] == "one,two"
    assert re.fullmatch(r"192\.0\.2\.1, 127\.0\.0\.1:\d+", answer["headers"]["x-forwarded-for"])
    assert answer["url"] == f"{host.url}/api/echo?x=1&y=a+b%C5%BC&x=2&empty"


def test_a_header_of_arbitrary_bytes_reaches_the_function(host: RunningHost):
    answer = host.get("/api/echo", headers={b"X-Odd": b"\xff\xc5\xbc"})

    assert answer.status_code == 200
    assert answer.json()["headers"]["x-odd"] == "ÿÅ¼"


def test_a_body_travels_whole_or_in_chunks(host: RunningHost):
    assert host.request("POST", "/api/echo", content="Zażółć".encode()).json()["body"] == "Zażółć"
    assert host.request("POST", "/api/echo", content=iter([b"ab", b"cd"])).json()["body"] == "abcd"


def test_a_body_beyond_the_limit_is_refused(start_host):
    host = start_host(workers=1, FUNCTIONS_REQUEST_BODY_SIZE_LIMIT="10")

    assert host.request("POST", "/api/echo", content=b"0123456789").status_code == 200
    assert host.request("POST", "/api/echo", content=b"0123456789a").status_code == 413
    assert host.request("POST", "/api/echo", content=iter([b"012345", b"6789ab"])).status_code == 413


def test_status_headers_and_cookies_of_a_function_pass_through(host: RunningHost):
    response = host.get("/api/cookies")

    assert response.status_code == 201
    assert dict(response.headers.raw)[b"x-names"].decode() == "Zażółć"
    assert response.headers.get_list("set-cookie") == [
        "a=1; Path=/; Max-Age=60; SameSite=Lax; Secure; HttpOnly",
        "b=2; Expires=Wed, 21 Oct 2026 07:28:00 GMT",
    ]


def test_a_function_that_raises_answers_500_and_nothing_else(host: RunningHost):
    response = host.get("/api/broken")

    assert (response.status_code, response.content) == (500, b"")
    traceback = poll(lambda: host.output.partition("broken failed on GET ")[2])
    assert "function_app.py" in traceback
    assert "RuntimeError: this function is broken" in traceback
    assert "azure_functions_runtime" not in traceback


def test_both_workers_answer(host: RunningHost):
    def pids() -> set[int]:
        clients = [httpx.Client() for _ in range(8)]
        answers = {client.get(f"{host.url}/api/echo").json()["pid"] for client in clients}
        for client in clients:
            client.close()
        return answers

    poll(lambda: len(pids()) == 2)


def test_a_function_key_opens_functions_and_the_master_key_everything(host: RunningHost):
    default, master = host.keys["default"], host.keys["master"]

    def status(path: str, key: str) -> int:
        return host.get(path, headers={"x-functions-key": key}).status_code

    assert host.get("/api/keyed").status_code == 401
    assert [status("/api/keyed", key) for key in ("wrong", default, master)] == [401, 200, 200]
    assert [status("/api/master", key) for key in ("wrong", default, master)] == [401, 401, 200]
    assert host.get(f"/api/keyed?code={default}").status_code == 200


def test_the_keys_are_for_their_owner_alone(host: RunningHost):
    assert stat.S_IMODE(os.stat(host.keys_file).st_mode) == 0o600  # noqa: PTH116


def test_the_admin_endpoint_wants_the_master_key(host: RunningHost):
    assert host.request("POST", "/admin/functions/tick").status_code == 401
    headers = {"x-functions-key": host.keys["default"]}
    assert host.request("POST", "/admin/functions/tick", headers=headers).status_code == 401
    headers = {"x-functions-key": host.keys["master"]}
    assert host.request("POST", "/admin/functions/nothing", headers=headers).status_code == 404
    assert host.request("POST", "/admin/functions/hello", headers=headers).status_code == 400
    assert host.get("/admin/host/status", headers=headers).json() == {"state": "Running"}


def test_without_storage_http_runs_and_the_host_says_what_is_off(host: RunningHost):
    assert "AzureWebJobsStorage is not set: the 3 functions without an HTTP trigger are off" in host.output


def test_the_functions_are_listed_with_methods_and_routes(host: RunningHost):
    lines = [line.split() for line in host.output.splitlines()]

    assert ["thing_by_name", "GET,DELETE", "/api/things/{name}"] in lines
    assert ["take_order", "orders"] in lines
    assert host.output.count("thing_by_name") == 1
