# ruff: noqa: UP006, UP032, UP035, UP045 -- runs on any Python 3.6 or later, before the right Python is there
"""Find uv, or install a pinned one for this checkout: nothing has to be prepared by hand."""

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import urllib.request
import zipfile
from pathlib import Path
from typing import Any, List, Optional
from urllib.parse import urljoin

UV_VERSION = "0.13.8"
UV_AT_LEAST = (0, 6)  # reads this uv.lock and knows --no-python-downloads
INDEX = "https://pypi.org/simple/uv/"


class Remedy(Exception):
    """Something is missing that a person has to install; the text says what and how."""


def find_uv(tools: Path, say: Any) -> str:
    """The path of a suitable uv: the one on PATH, else the private one, which is installed if it is missing."""
    for candidate in (shutil.which("uv"), str(tools / ("uv-" + UV_VERSION) / "bin" / "uv")):
        if candidate and _version_of(candidate) >= UV_AT_LEAST:
            return candidate
    return _install(tools / ("uv-" + UV_VERSION), say)


def _version_of(program: str) -> Any:
    try:
        text = subprocess.check_output([program, "--version"], stderr=subprocess.DEVNULL, universal_newlines=True)
    except (OSError, subprocess.CalledProcessError):
        return ()
    found = re.search(r"(\d+)\.(\d+)", text)
    return (int(found.group(1)), int(found.group(2))) if found else ()


def _install(folder: Path, say: Any) -> str:
    """Install uv by the first way that works here; raises Remedy."""
    say("  installing uv {} into {}".format(UV_VERSION, folder))
    said = []  # type: List[str]
    for way in (_with_venv, _with_pip, _from_the_index):
        shutil.rmtree(str(folder), ignore_errors=True)
        problem = way(folder)
        if problem is None and _version_of(str(folder / "bin" / "uv")):
            return str(folder / "bin" / "uv")
        said.append("    {}: {}".format(way.__doc__, problem or "it does not run on this machine"))
    raise Remedy(
        "uv is missing and could not be installed. Install it (https://docs.astral.sh/uv, `pipx install uv`), "
        "or Debian's python3-venv, and run again. Tried:\n" + "\n".join(said)
    )


def _with_venv(folder: Path) -> Optional[str]:
    """pip in a virtual environment"""  # noqa: D400, D403 -- it is read in a list
    problem = _run([sys.executable, "-m", "venv", str(folder)])
    return problem or _run([str(folder / "bin" / "python"), "-m", "pip", "install", "uv==" + UV_VERSION])


def _with_pip(folder: Path) -> Optional[str]:
    """pip into a folder, for a Python without ensurepip"""  # noqa: D400, D403 -- it is read in a list
    return _run([sys.executable, "-m", "pip", "install", "--target", str(folder), "uv==" + UV_VERSION])


def _from_the_index(folder: Path) -> Optional[str]:
    """the wheel of PyPI, for a Python without or with an old pip"""  # noqa: D400, D403 -- it is read in a list
    try:
        with urllib.request.urlopen(INDEX, timeout=30) as answer:
            links = re.findall(r'href="([^"#]+)#sha256=([0-9a-f]{64})"', answer.read().decode())
        fitting = [(link, digest) for link, digest in links if _fits(link.rpartition("/")[2])]
        if not fitting:
            return "no wheel for {} {}".format(platform.system(), platform.machine())
        link, digest = fitting[0]
        with urllib.request.urlopen(urljoin(INDEX, link), timeout=120) as answer:  # noqa: S310 -- as above
            content = answer.read()
    except (OSError, ValueError) as error:
        return str(error)
    if hashlib.sha256(content).hexdigest() != digest:
        return "the download is damaged"
    return _unpack(content, folder / "bin")


def _fits(filename: str) -> bool:
    """Whether this wheel of the pinned version runs on this machine."""
    if not filename.startswith("uv-{}-".format(UV_VERSION)):
        return False
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine().lower())
    if platform.system() == "Darwin":
        return "macosx" in filename and ("arm64" if machine == "aarch64" else machine) in filename
    libc = "manylinux" if platform.libc_ver()[0] == "glibc" else "musllinux"
    return libc in filename and machine in filename


def _unpack(wheel: bytes, folder: Path) -> Optional[str]:
    folder.mkdir(parents=True)
    unfinished = folder / "uv.whl"
    unfinished.write_bytes(wheel)
    with zipfile.ZipFile(str(unfinished)) as archive:
        names = [name for name in archive.namelist() if name.endswith("/scripts/uv")]
        if not names:
            return "the wheel holds no program"
        (folder / "uv").write_bytes(archive.read(names[0]))
    unfinished.unlink()
    (folder / "uv").chmod(0o755)
    return None


def _run(command: List[str]) -> Optional[str]:
    """Run a command; return None if it succeeds, else the last line of its output."""
    environment = dict(os.environ, PIP_DISABLE_PIP_VERSION_CHECK="1")
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            check=False,
        )
    except OSError as error:
        return str(error)
    lines = done.stdout.decode(errors="replace").strip().splitlines()
    return None if done.returncode == 0 else (lines[-1] if lines else "it failed")
