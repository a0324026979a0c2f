import sys
from pathlib import Path

# The repository's packages, whichever way pytest was started: `pytest`, `python -m pytest`, an editor.
ROOT = str(Path(__file__).parents[1])
if ROOT not in sys.path:
    sys.path.insert(0, ROOT)

pytest_plugins = ["tests.harness.fixtures"]
