"""An answer of clamd becomes a verdict; anything else that happens is no verdict (R-IMG-2)."""

import os

import pytest

from infra.local.home import free_port
from shared.kit import clamav
from shared.kit.clamav import ScannerUnavailable, find_malware
from tests.harness.clamd import FOUND, MARKER, RealClamd, StandInClamd


@pytest.fixture(params=["the real one", "the stand-in"])
def clamd(request, tmp_path, guard):
    daemon: StandInClamd | RealClamd
    if request.param == "the stand-in":
        daemon = StandInClamd()
    elif RealClamd.program is None:
        pytest.skip("clamd is not on this machine (apt-get install clamav-daemon)")
    else:
        daemon = RealClamd(tmp_path, guard)
    daemon.start()
    yield daemon
    daemon.stop()


@pytest.fixture
def stand_in():
    daemon = StandInClamd()
    daemon.start()
    yield daemon
    daemon.stop()


def scan(data: bytes, port: int) -> str | None:
    return find_malware(data, host="127.0.0.1", port=port)


def test_malware_is_named_and_anything_else_is_clean(clamd):
    noise = os.urandom(3_000_000)
    assert scan(noise + MARKER + noise[:1_500_000], clamd.port) == FOUND
    assert scan(noise + MARKER[:-1], clamd.port) is None
    assert scan(b"", clamd.port) is None
    assert scan(b"\xff" * 65_536, clamd.port) is None  # exactly one chunk


def test_what_clamd_finds_too_long_has_no_verdict(clamd):
    with pytest.raises(ScannerUnavailable):
        scan(b"x" * 7_000_000, clamd.port)


def test_a_file_arrives_whole(stand_in):
    for size in (1, 65_535, 65_536, 65_537, 5_000_000):
        scan(b"x" * size, stand_in.port)
    assert stand_in.scanned == [1, 65_535, 65_536, 65_537, 5_000_000]


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "stream: OK",  # cut off before its end
        "stream: Can't allocate memory ERROR\0",
        "INSTREAM size limit exceeded. ERROR\0",
        "UNKNOWN COMMAND\0",
        "stream: OK and more\0",
        "OK\0",
        "\0",
        "x" * 100_000,
    ],
)
def test_an_answer_that_is_no_verdict_is_none(answer, stand_in):
    stand_in.says = answer
    with pytest.raises(ScannerUnavailable):
        scan(b"x", stand_in.port)


def test_a_scanner_that_says_nothing_is_not_waited_for_forever(stand_in, monkeypatch):
    monkeypatch.setattr(clamav, "_SCAN_SECONDS", 0.2)
    stand_in.says = "silence"
    with pytest.raises(ScannerUnavailable):
        scan(b"x", stand_in.port)


def test_a_scanner_that_is_down_gives_no_verdict():
    with pytest.raises(ScannerUnavailable):
        scan(b"x", free_port())
