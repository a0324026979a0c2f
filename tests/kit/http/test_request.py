"""Reading a request: bodies up to their limit, versions and tags, keys and ids."""

import json
from typing import Any
from uuid import UUID

import azure.functions as func
import pytest

from shared.kit.errors import NotFound, StaleVersion
from shared.kit.fields import Input
from shared.kit.http import request
from shared.kit.http.call import UploadedFile
from shared.kit.http.problems import BodyTooLarge, IdempotencyKeyRequired, Invalid, Unauthenticated, WrongContentType
from shared.kit.versions import require_version

MEGABYTE = 1_000_000


class Guest(Input):
    name: str


def asked(body: bytes = b"", **headers: str) -> func.HttpRequest:
    """Make a request; header names are written as identifiers."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return func.HttpRequest(method="POST", url="/", headers=named, body=body)


def json_of(size: int) -> bytes:
    """A guest as JSON with the given number of bytes."""
    body = json.dumps({"name": "Bo"}).encode()
    return body + b" " * (size - len(body))


def test_a_body_of_exactly_a_megabyte_is_read():
    assert request.body_of(Guest, asked(json_of(MEGABYTE), content_type="application/json")) == Guest(name="Bo")
    assert len(request.raw_body_of(asked(bytes(MEGABYTE)))) == MEGABYTE


@pytest.mark.parametrize("read", [lambda req: request.body_of(Guest, req), request.raw_body_of])
def test_a_body_of_a_megabyte_and_a_byte_is_refused(read):
    with pytest.raises(BodyTooLarge) as refused:
        read(asked(json_of(MEGABYTE + 1), content_type="application/json"))
    assert refused.value.fields == {"limit_bytes": MEGABYTE}


def form(size: int, file_name: str = "a.jpg") -> func.HttpRequest:
    """A form with the given number of bytes, with a file in the field `image`."""
    head = f'--x\r\nContent-Disposition: form-data; name="image"; filename="{file_name}"\r\n\r\n'.encode()
    tail = b"\r\n--x--\r\n"
    body = head + bytes(size - len(head) - len(tail)) + tail
    return asked(body, content_type="multipart/form-data; boundary=x")


def file_in(req: func.HttpRequest, field: str = "image") -> UploadedFile:
    """The file in the form; what the form has laid on the disk is closed."""
    try:
        return request.file_of(req, field)
    finally:
        for part in req.files.values():
            part.close()


def test_a_form_may_have_six_megabytes_and_no_byte_more():
    file = file_in(form(6 * MEGABYTE))
    assert (file.file_name, len(file.data)) == ("a.jpg", 6 * MEGABYTE - 80)
    with pytest.raises(BodyTooLarge) as refused:
        request.file_of(form(6 * MEGABYTE + 1), "image")
    assert refused.value.fields == {"limit_bytes": 6 * MEGABYTE}


@pytest.mark.parametrize(
    ("content_type", "fits"),
    [
        ("application/json", True),
        ("Application/JSON; charset=utf-8", True),
        ("application/problem+json", True),
        ("text/plain", False),
        ("application/jsonx", False),
        ("", False),
    ],
)
def test_a_body_says_that_it_is_json(content_type, fits):
    req = asked(json_of(20), content_type=content_type)
    if fits:
        assert request.body_of(Guest, req) == Guest(name="Bo")
    else:
        with pytest.raises(WrongContentType):
            request.body_of(Guest, req)


@pytest.mark.parametrize(
    ("header", "versions"),
    [
        ("", None),
        ("*", None),
        (" * , ", None),
        ('"v3"', {3}),
        ('"v3-0af1"', {3}),
        ('"v3-0af1", "v12"', {3, 12}),
        ('*, "v3"', {3}),
        ('"v3", *', {3}),
        ('W/"v3"', set()),
        ('"3"', set()),
        ("v3", set()),
        ('"v3-XYZ"', set()),
        ('"v3"4', set()),
        ('"v' + "9" * 18 + '"', {10**18 - 1}),
        ('"v' + "9" * 19 + '"', set()),
    ],
)
def test_if_match_names_the_versions_that_may_be_changed(header, versions):
    assert request.if_match_of(asked(if_match=header)) == versions


@pytest.mark.parametrize(("wanted", "fits"), [(None, True), ({4}, True), ({3, 4}, True), ({3}, False), (set(), False)])
def test_an_edit_of_another_version_is_refused(wanted: Any, fits):
    if fits:
        require_version(4, wanted)
    else:
        with pytest.raises(StaleVersion) as refused:
            require_version(4, wanted)
        assert refused.value.fields == {"current_version": 4}


@pytest.mark.parametrize(
    ("header", "known"),
    [
        ("", False),
        ('"v3-0af1"', True),
        ('W/"v3-0af1"', True),
        ('"other",W/"v3-0af1"', True),
        ('"other", "v3-0af2"', False),
        ("*", True),
        ('"other", *', True),
        ('"*"', False),
    ],
)
def test_if_none_match_names_what_is_known_already(header, known):
    assert request.matches_etag(asked(if_none_match=header), '"v3-0af1"') is known


@pytest.mark.parametrize(
    ("key", "fits"), [("k", True), ("k" * 255, True), ("k" * 256, False), ("", False), ("a b", False), ("é", False)]
)
def test_an_idempotency_key_has_1_to_255_printable_characters(key, fits):
    if fits:
        assert request.idempotency_key_of(asked(idempotency_key=key)) == key
    else:
        with pytest.raises(IdempotencyKeyRequired):
            request.idempotency_key_of(asked(idempotency_key=key))


def test_a_request_id_is_taken_over_if_it_is_a_harmless_word():
    assert request.request_id_of(asked(x_request_id="a.B-c_" + "9" * 58)) == "a.B-c_" + "9" * 58
    for harmful in ("9" * 65, "a b", "a\nb", ""):
        made = request.request_id_of(asked(x_request_id=harmful))
        assert made != harmful
        assert len(made) == 32


@pytest.mark.parametrize(("header", "token"), [("", None), ("Bearer abc", "abc"), ("bearer  abc ", "abc")])
def test_a_bearer_token_is_read(header, token):
    assert request.bearer_token_of(asked(authorization=header)) == token


@pytest.mark.parametrize("header", ["Basic abc", "Bearer", "Bearer  "])
def test_another_way_to_sign_in_is_refused(header):
    with pytest.raises(Unauthenticated):
        request.bearer_token_of(asked(authorization=header))


def test_an_id_of_the_path_is_written_as_ids_are():
    written = "0199AAAA-bbbb-7ccc-8ddd-eeeeffff0000"
    assert request.path_id({"id": written}, "id") == UUID(written)
    for other in (written.replace("-", ""), f"{{{written}}}", f"urn:uuid:{written}", "1", ""):
        with pytest.raises(NotFound):
            request.path_id({"id": other}, "id")


def test_of_the_name_of_a_file_255_characters_are_kept():
    assert file_in(form(1_000, "x" * 300)).file_name == "x" * 255


def test_a_form_without_the_file_is_refused_by_name():
    with pytest.raises(Invalid) as refused:
        file_in(form(1_000), "picture")
    assert [fault.pointer for fault in refused.value.faults] == ["/picture"]


def test_a_fault_in_the_query_is_named_by_its_parameter():
    req = func.HttpRequest(method="GET", url="/", params={"name": "Bo", "nmae": "Bo"}, body=b"")
    with pytest.raises(Invalid) as refused:
        request.query_of(Guest, req)
    assert [fault.pointer for fault in refused.value.faults] == ["/query/nmae"]


@pytest.mark.parametrize(
    ("body", "summary"),
    [
        ({}, "1 fault in the input: /name."),
        ({"name": 1, "a": 1, "b": 2}, "3 faults in the input: /name, /a, /b."),
        ({"name": "Bo"} | dict.fromkeys("abcde", 1), "5 faults in the input: /a, /b, /c, /d, /e."),
        ({"name": "Bo"} | dict.fromkeys("abcdef", 1), "6 faults in the input: /a, /b, /c, /d, /e, …."),
        ([], "1 fault in the input: the body."),
    ],
)
def test_the_first_five_faults_are_summed_up(body, summary):
    with pytest.raises(Invalid) as refused:
        request.body_of(Guest, asked(json.dumps(body).encode(), content_type="application/json"))
    assert refused.value.detail == summary
