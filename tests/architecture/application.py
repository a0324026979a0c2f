"""The application inside the test's own process, for tests that examine its parts."""

import importlib
import os
from collections.abc import Mapping
from typing import Any
from unittest import mock

from shared.kit.http.endpoint import Route
from shared.settings import read_settings


def load(name: str, environment: Mapping[str, str]) -> Any:
    """Import a module that reads the settings; afterwards this process's environment is unchanged."""
    with mock.patch.dict(os.environ, environment):
        read_settings()
        return importlib.import_module(name)


def registered_routes(environment: Mapping[str, str]) -> dict[str, Route]:
    """Every route that the app declares, by the name of its function."""
    blueprints = (*load("functions.routes", environment).ENDPOINTS, load("functions.platform", environment).bp)
    return {route.name: route for blueprint in blueprints for route in blueprint.routes}
