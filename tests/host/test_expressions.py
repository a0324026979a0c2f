import re
from datetime import UTC, datetime

import pytest

from infra.local.host.expressions import expand, expand_settings, http_names, path_pattern
from infra.local.host.settings import BadConfiguration


def test_names_are_replaced_whatever_their_case():
    names = {"name": "a.png", "n": 7, "customer": {"id": "c1"}}

    assert expand("out/{Name}-{n}-{customer.ID}", names) == "out/a.png-7-c1"


def test_settings_are_replaced(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("A_CONTAINER", "pictures")

    assert expand("%A_CONTAINER%/{name}", {"name": "x"}) == "pictures/x"
    with pytest.raises(BadConfiguration, match="%NO_SUCH_SETTING%"):
        expand_settings("%NO_SUCH_SETTING%")


def test_guids_are_new_each_time():
    first, second = expand("{rand-guid} {sys.randguid}", {}).split()

    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", first)
    assert first != second
    assert re.fullmatch(r"[0-9a-f]{32}", expand("{rand-guid:N}", {}))


def test_the_time_is_in_utc_and_in_the_form_asked_for():
    before = datetime.now(UTC).replace(microsecond=0)
    plain = datetime.strptime(expand("{DateTime}", {}), "%Y-%m-%dT%H-%M-%SZ").replace(tzinfo=UTC)

    assert before <= plain <= datetime.now(UTC)
    assert re.fullmatch(r"20\d\d/[01]\d/[0-3]\d [0-2]\d:[0-5]\d", expand("{datetime:yyyy/MM/dd HH:mm}", {}))


def test_a_name_that_the_trigger_does_not_know_is_an_error():
    with pytest.raises(BadConfiguration, match="nothing"):
        expand("out/{nothing}", {"name": "x"})


def test_an_http_request_offers_its_route_query_headers_and_json_body():
    names = http_names({"Id": "1"}, {"Page": "2"}, {"x-tag": "t"}, b'{"Order": {"Code": "o9"}}')

    assert expand("{id}/{Query.page}/{headers.X-Tag}/{order.code}", names) == "1/2/t/o9"


@pytest.mark.parametrize(
    ("path", "blob", "captured"),
    [
        ("c/{name}", "a/b.png", {"name": "a/b.png"}),
        ("c/{name}.{ext}", "a.tar.gz", {"name": "a.tar", "ext": "gz"}),
        ("c/in/{dir}/{name}", "in/x/y", {"dir": "x", "name": "y"}),
        ("c/in-{name}", "out-x", None),
        ("c", "anything", {"name": "anything"}),
    ],
)
def test_a_blob_path_captures_parts_of_names(path: str, blob: str, captured: dict[str, str] | None):
    container, pattern, prefix = path_pattern(path)

    match = pattern.fullmatch(blob)
    assert container == "c"
    assert (match.groupdict() if match else None) == captured
    assert captured is None or blob.startswith(prefix)
