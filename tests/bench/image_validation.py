"""`python -m tests.bench.image_validation`: what it takes to check an uploaded photo, in a new process (R-IMG-2)."""

import json
import random
import resource
import subprocess
import sys
import time
from io import BytesIO
from pathlib import Path
from statistics import median
from typing import Any

from infra.local.home import REPOSITORY

SIZE = (6000, 4000)
MOST_BYTES = 5_000_000
TIMES = 5


def large_photo() -> bytes:
    """A JPEG of 24 megapixels and nearly 5 MB; coarse and fine noise give the decoder as much work as a photo."""
    from PIL import Image

    random.seed(1)
    coarse = Image.effect_noise((SIZE[0] // 4, SIZE[1] // 4), 90).resize(SIZE, Image.Resampling.BICUBIC)
    fine = Image.effect_noise(SIZE, 60)
    turned = coarse.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    picture = Image.merge("RGB", (coarse, Image.blend(fine, coarse, 0.8), turned))
    for quality in range(60, 10, -2):
        out = BytesIO()
        picture.save(out, "JPEG", quality=quality)
        if len(out.getvalue()) <= MOST_BYTES:
            return out.getvalue()
    raise AssertionError("no quality is low enough")


def check_in_fresh_process(data: bytes) -> dict[str, Any]:
    """Check the image in a new process; return its seconds, its peak memory in MB, and the reason if it was refused.

    The seconds include the import of the decoder; the memory is the whole process, interpreter included.
    """
    command = [sys.executable, "-W", "ignore", "-m", "tests.bench.image_validation", "--check"]
    done = subprocess.run(command, input=data, capture_output=True, check=True, cwd=REPOSITORY)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def measure(*, times: int = TIMES) -> dict[str, Any]:
    """Check the large photo in several fresh processes; medians."""
    photo = large_photo()
    found = [check_in_fresh_process(photo) for _ in range(times)]
    assert all(result["refused"] is None for result in found)
    return {
        "bytes": len(photo),
        "times": times,
        **{name: round(median(result[name] for result in found), 3) for name in ("seconds", "cpu_seconds", "peak_mb")},
    }


def _check(data: bytes) -> dict[str, Any]:
    from shared.domain.images.errors import ImageRefused
    from shared.domain.images.rules import web_images

    refused, started, cpu = None, time.perf_counter(), time.process_time()
    try:
        web_images(data)
    except ImageRefused as refusal:
        refused = refusal.detail
    return {
        "seconds": time.perf_counter() - started,
        "cpu_seconds": time.process_time() - cpu,
        "peak_mb": peak_mb(),
        "refused": refused,
    }


def peak_mb() -> float:
    """The most memory that this process has had.

    Linux counts the parent's memory into `ru_maxrss` of a new process, but not into VmHWM.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 * 1024 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    if "--check" in sys.argv:
        print(json.dumps(_check(sys.stdin.buffer.read())))
    else:
        from tests.bench.tables import image_lines

        print("\n".join(image_lines(measure())))
