"""Small files that only their owner may read, written whole or not at all."""

import contextlib
import os
from pathlib import Path


def create_private(path: Path, content: bytes) -> None:
    """Write `path` unless it exists; of two writers at the same time the first wins."""
    unfinished = _write_beside(path, content)
    with contextlib.suppress(FileExistsError):
        os.link(unfinished, path)
    unfinished.unlink()


def replace_private(path: Path, content: bytes) -> None:
    """Write `path`, replacing an older file."""
    _write_beside(path, content).replace(path)


def _write_beside(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    unfinished.unlink(missing_ok=True)
    unfinished.touch(mode=0o600)
    unfinished.write_bytes(content)
    return unfinished
