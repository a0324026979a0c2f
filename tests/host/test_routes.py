import pytest

from infra.local.host.routes import Router


def router(*routes: str) -> Router:
    """Return a router in which each route, given as `METHOD,METHOD template`, leads to its own text."""
    made = Router()
    for route in routes:
        methods, _, template = route.partition(" ")
        made.add(template, [] if methods == "ANY" else methods.split(","), route)
    return made


@pytest.mark.parametrize("order", [1, -1])
def test_literals_beat_constraints_beat_parameters_beat_catch_alls(order: int):
    routes = ["GET a/b", "GET a/{n:int}", "GET a/{name}", "GET a/{*rest}", "GET a/{file}.{ext}"]
    found = router(*routes[::order])

    assert found.find("GET", b"/a/b").target == "GET a/b"
    assert found.find("GET", b"/a/7") == ("GET a/{n:int}", {"n": "7"}, frozenset())
    assert found.find("GET", b"/a/x").target == "GET a/{name}"
    assert found.find("GET", b"/a/x.tar.gz") == ("GET a/{file}.{ext}", {"file": "x.tar", "ext": "gz"}, frozenset())
    assert found.find("GET", b"/a/x/y") == ("GET a/{*rest}", {"rest": "x/y"}, frozenset())


def test_a_branch_that_leads_nowhere_is_left_again():
    found = router("GET a/b/c", "GET a/{x}/d", "GET {y}/b/e")

    assert found.find("GET", b"/a/b/d") == ("GET a/{x}/d", {"x": "b"}, frozenset())
    assert found.find("GET", b"/a/b/e") == ("GET {y}/b/e", {"y": "a"}, frozenset())
    assert found.find("GET", b"/a/b/f").target is None


def test_optional_and_default_parameters_may_be_left_out():
    found = router("GET list/{page=1}", "GET find/{what?}", "GET find/all", "GET two/{a?}/{b?}")

    assert found.find("GET", b"/list").params == {"page": "1"}
    assert found.find("GET", b"/list/3").params == {"page": "3"}
    assert found.find("GET", b"/find") == ("GET find/{what?}", {}, frozenset())
    assert found.find("GET", b"/find/all").target == "GET find/all"
    assert found.find("GET", b"/two/1").params == {"a": "1"}
    assert found.find("GET", b"/two/1/2").params == {"a": "1", "b": "2"}


def test_an_exact_route_beats_one_with_its_last_part_left_out():
    assert router("GET a/{x?}", "GET a").find("GET", b"/a").target == "GET a"
    assert router("GET a", "GET a/{x?}").find("GET", b"/a").target == "GET a"


def test_methods_belong_to_their_functions():
    found = router("GET,POST a", "DELETE a", "ANY b")

    assert found.find("POST", b"/a").target == "GET,POST a"
    assert found.find("DELETE", b"/a").target == "DELETE a"
    assert found.find("PUT", b"/a") == (None, {}, frozenset({"GET", "POST", "DELETE"}))
    assert found.find("PATCH", b"/b").target == "ANY b"


def test_the_same_route_and_method_twice_is_reported():
    made = Router()

    assert made.add("a/{x}", ["GET"], "first") is None
    assert made.add("a/{x}", ["GET"], "second") == "first"
    assert made.find("GET", b"/a/1").target == "first"


@pytest.mark.parametrize(
    ("constraint", "fitting", "unfitting"),
    [
        ("int", ["0", "-12", "2147483647"], ["", "x", "1.0", "2147483648", "٣"]),
        ("long", ["9223372036854775807"], ["9223372036854775808"]),
        ("bool", ["true", "False"], ["1", "yes"]),
        ("guid", ["0f8fad5b-d9cb-469f-a165-70867728950e", "0f8fad5bd9cb469fa16570867728950e"], ["0f8fad5b", "x" * 36]),
        ("alpha", ["abcXYZ"], ["abc1", "ż"]),
        ("decimal", ["1.5", "-2"], ["1,5", "e"]),
        ("double", ["1.5e-3"], ["x"]),
        ("datetime", ["2026-11-20", "2026-11-20T12:00:00"], ["20.11.2026"]),
        ("length(3)", ["abc"], ["ab", "abcd"]),
        ("length(2,3)", ["ab", "abc"], ["a", "abcd"]),
        ("minlength(2)", ["ab"], ["a"]),
        ("maxlength(2)", ["ab"], ["abc"]),
        ("min(18)", ["18"], ["17", "x"]),
        ("max(18)", ["18"], ["19"]),
        ("range(1,5)", ["1", "5"], ["0", "6"]),
        ("regex(^\\d{{2}}:[a-z/]+$)", ["12:ab"], ["1:ab", "12:"]),
        ("int:min(1)", ["1"], ["0", "x"]),
    ],
)
def test_a_constraint_admits_what_fits(constraint: str, fitting: list[str], unfitting: list[str]):
    found = router(f"GET a/{{x:{constraint}}}")

    for value in fitting:
        assert found.find("GET", f"/a/{value}".encode()).params == {"x": value}
    for value in unfitting:
        assert found.find("GET", f"/a/{value}".encode()).target is None


@pytest.mark.parametrize("template", ["a/{x:nothing}", "a/{x", "a/x}", "a/{1x}", "a/f{*rest}", "a/{x:length(1,2,3)}"])
def test_a_route_that_cannot_be_read_is_refused(template: str):
    with pytest.raises(ValueError, match=r"."):
        Router().add(template, ["GET"], "target")


@pytest.mark.parametrize(
    ("raw", "params"),
    [
        (b"/a/%C5%BC", {"x": "ż"}),
        ("/a/ż".encode(), {"x": "ż"}),
        (b"/a/1%2F2%2f3", {"x": "1%2F2%2f3"}),
        (b"/a/1+2%2B3", {"x": "1+2+3"}),
        (b"/a/%ff", {"x": "\ufffd"}),
        (b"/a/100%", {"x": "100%"}),
        (b"/b/../a/./x", {"x": "x"}),
        (b"/b/%2e%2E/a/x", {"x": "x"}),
        (b"/A/X/", {"x": "X"}),
    ],
)
def test_a_path_is_decoded_part_by_part(raw: bytes, params: dict[str, str]):
    assert router("GET a/{x}").find("GET", raw).params == params


def test_an_empty_part_is_no_value():
    assert router("GET a/{x}/b").find("GET", b"/a//b").target is None
    assert router("GET a/{x}").find("GET", b"//a/x").target is None


def test_a_catch_all_may_be_empty():
    assert router("GET a/{*rest}").find("GET", b"/a") == ("GET a/{*rest}", {}, frozenset())
