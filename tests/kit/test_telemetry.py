"""OpenTelemetry is loaded if a setting asks for it, and costs nothing otherwise."""

import gzip
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from infra.local.home import REPOSITORY
from tests.harness.polling import PATIENCE_SECONDS

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"

# One request to a function of the app as the worker makes it, and then the code of `{after}`.
REQUEST = """
import sys
{before}
import azure.functions as func
import function_app
from functions.platform import bp
from shared.kit.http.endpoint import serve
route = next(route for route in bp.routes if route.name == "health_live")
headers = {{"traceparent": "{traceparent}"}}
req = func.HttpRequest("GET", "http://localhost/api/v1/health/live", body=b"", headers=headers)
assert serve(route, req).status_code == 200
{after}
"""
TELL = """
import gc
print(sorted(name for name in sys.modules if name.startswith(("opentelemetry", "azure.monitor"))))
print(gc.get_freeze_count())
"""
# As in an installation without the library.
HIDE = """
class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.startswith(("opentelemetry", "azure.monitor")):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Hide())
"""


def run(
    environment: dict[str, str], *, before: str = "", after: str, **changes: str
) -> subprocess.CompletedProcess[str]:
    script = REQUEST.format(before=before, after=after, traceparent=f"00-{TRACE}-00f067aa0ba902b7-01")
    env = os.environ | environment | changes
    command = [sys.executable, "-c", script]
    done = subprocess.run(
        command, cwd=REPOSITORY, env=env, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr
    return done


def test_without_a_connection_string_nothing_of_it_is_imported(app_environment):
    imported, frozen = run(app_environment, after=TELL).stdout.splitlines()
    assert imported == "[]"
    assert int(frozen) > 80_000  # and full garbage collections do not go through the imported objects


def test_where_the_library_is_missing_a_warning_says_so_and_everything_works(app_environment):
    key = "InstrumentationKey=00000000-0000-0000-0000-000000000001"
    done = run(app_environment, before=HIDE, after=TELL, APPLICATIONINSIGHTS_CONNECTION_STRING=key)
    assert done.stdout.splitlines()[0] == "[]"
    assert "Nothing is sent to Azure Monitor" in done.stderr
    assert "azure-monitor-opentelemetry" in done.stderr


class Ingestion(HTTPServer):
    """Receives the data that would go to Application Insights."""

    def __init__(self) -> None:
        self.taken: list[dict[str, Any]] = []
        super().__init__(("127.0.0.1", 0), Taker)


class Taker(BaseHTTPRequestHandler):
    server: Ingestion

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        sent = json.loads(body)
        envelopes = sent if isinstance(sent, list) else []  # all other requests are the library's own status checks
        self.server.taken += envelopes
        answer = json.dumps({"itemsReceived": len(envelopes), "itemsAccepted": len(envelopes), "errors": []}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        pass


def test_a_request_is_a_span_of_the_trace_that_its_client_began(app_environment):
    server = Ingestion()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    where = f"http://127.0.0.1:{server.server_port}/"
    connection = (
        f"InstrumentationKey=00000000-0000-0000-0000-000000000001;IngestionEndpoint={where};LiveEndpoint={where}"
    )
    flush = "from opentelemetry import trace; trace.get_tracer_provider().force_flush()"
    quiet = {"APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL": "true", "OTEL_METRICS_EXPORTER": "none"}
    try:
        run(
            app_environment,
            after=f'import logging; logging.getLogger("any").error("x"); {flush}',
            APPLICATIONINSIGHTS_CONNECTION_STRING=connection,
            **quiet,
        )
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    spans = [item for item in server.taken if item["data"]["baseType"] in {"RequestData", "RemoteDependencyData"}]
    (span,) = [item for item in spans if item["data"]["baseData"]["name"] == "health_live"]
    assert span["tags"]["ai.operation.id"] == TRACE
    assert span["tags"]["ai.operation.parentId"] == "00f067aa0ba902b7"
    assert not [item for item in server.taken if item["data"]["baseType"] == "MessageData"]  # the host sends the log
