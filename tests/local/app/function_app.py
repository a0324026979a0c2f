"""The smallest application that the local environment can run: it is ready, and it can be slow."""

import time

import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route("v1/health/ready")
def ready(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("ready")


@app.route("v1/slow")
def slow(req: func.HttpRequest) -> func.HttpResponse:
    time.sleep(1.5)
    return func.HttpResponse("done")
