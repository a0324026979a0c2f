"""The function app: it registers every blueprint, and does nothing else.

A missing or bad setting stops the start here; the error names the setting.
"""

import gc

# Off until everything is imported: nothing imported is garbage, and each collection takes longer than the one before.
gc.disable()

import azure.functions as func  # noqa: E402

from shared.kit import logs, telemetry  # noqa: E402
from shared.kit.settings.app import app_settings  # noqa: E402
from shared.kit.settings.telemetry import telemetry_settings  # noqa: E402
from shared.settings import read_settings  # noqa: E402

read_settings()  # before the imports below read any setting, so that one error names all faults
logs.set_up(telemetry_settings(), is_local=app_settings().is_local)
telemetry.start(telemetry_settings())

from functions import platform  # noqa: E402
from functions.routes import BACKGROUND, ENDPOINTS  # noqa: E402

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
for endpoints in (*ENDPOINTS, platform.bp):
    app.register_functions(endpoints.azure)
for background in BACKGROUND:
    app.register_functions(background)

# What has been imported is never freed. Without this, each full collection would look through all of it (90 ms).
gc.freeze()
gc.enable()
