import stat
from pathlib import Path

import pytest

from infra.local.host.keys import Keys, load_keys
from infra.local.host.settings import BadConfiguration


def test_keys_are_made_once_and_kept_for_their_owner_alone(tmp_path: Path):
    path = tmp_path / "new" / "keys.json"

    first = load_keys(path)

    assert load_keys(path) == first
    assert len({first.master, first.default}) == 2
    assert min(len(first.master), len(first.default)) >= 40
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["keys.json"]


@pytest.mark.parametrize(
    "content", ["", "{}", "[]", '{"master": "x"}', '{"master": "x", "default": "y", "functions": 1}']
)
def test_a_file_without_usable_keys_is_refused(tmp_path: Path, content: str):
    path = tmp_path / "keys.json"
    path.write_text(content)

    with pytest.raises(BadConfiguration, match="delete it"):
        load_keys(path)


@pytest.mark.parametrize(
    ("level", "opening"),
    [
        ("anonymous", [None, "wrong", "ż", "default", "own", "other", "master"]),
        ("function", ["default", "own", "master"]),
        ("admin", ["master"]),
    ],
)
def test_each_level_opens_for_its_keys(level: str, opening: list[str | None]):
    keys = Keys("master", "default", {"mine": "own", "yours": "other"})

    every: list[str | None] = [None, "wrong", "ż", "default", "own", "other", "master"]
    assert [key for key in every if keys.opens("mine", level, key)] == opening
