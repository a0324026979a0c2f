"""The function app: registers every blueprint, nothing else. A missing or bad setting stops it here, by name."""

import gc

gc.disable()  # until all is imported: nothing of it is garbage, and each look at it takes longer than the one before

import azure.functions as func  # noqa: E402

from shared.kit import logs, telemetry  # noqa: E402
from shared.kit.settings.app import app_settings  # noqa: E402
from shared.kit.settings.telemetry import telemetry_settings  # noqa: E402
from shared.settings import read_settings  # noqa: E402

read_settings()  # before the imports below read any, so that all faults are told at once
logs.set_up(telemetry_settings(), is_local=app_settings().is_local)
telemetry.start(telemetry_settings())

from functions import platform  # noqa: E402
from functions.routes import BACKGROUND, ENDPOINTS  # noqa: E402

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
for endpoints in (*ENDPOINTS, platform.bp):
    app.register_functions(endpoints.azure)
for background in BACKGROUND:
    app.register_functions(background)

# What has been imported stays for good. A full collection would look through all of it, for 90 ms at a time.
gc.freeze()
gc.enable()
