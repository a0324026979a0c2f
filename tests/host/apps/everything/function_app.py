import json
import os
import time
from pathlib import Path

import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


def answer(req: func.HttpRequest, name: str) -> func.HttpResponse:
    """Return which function answered, in which process, and its input."""
    content = {
        "function": name,
        "pid": os.getpid(),
        "method": req.method,
        "url": req.url,
        "route": dict(req.route_params),
        "query": dict(req.params),
        "headers": dict(req.headers),
        "body": req.get_body().decode("utf-8", "replace"),
    }
    return func.HttpResponse(json.dumps(content), mimetype="application/json")


@app.route("hello", methods=["GET"])
def hello(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("hello")


@app.route("echo/{*rest}", methods=["GET", "POST"])
def echo(req: func.HttpRequest) -> func.HttpResponse:
    return answer(req, "echo")


@app.route("things/{id:guid}", methods=["GET"])
def thing_by_guid(req: func.HttpRequest) -> func.HttpResponse:
    return answer(req, "thing_by_guid")


@app.route("things/{name}", methods=["GET", "DELETE"])
def thing_by_name(req: func.HttpRequest) -> func.HttpResponse:
    return answer(req, "thing_by_name")


@app.route("things/special", methods=["GET"])
def special_thing(req: func.HttpRequest) -> func.HttpResponse:
    return answer(req, "special_thing")


@app.route("slow", methods=["GET"])
def slow(req: func.HttpRequest) -> func.HttpResponse:
    time.sleep(float(req.params.get("seconds", "2")))
    if "mark" in req.params:
        Path(req.params["mark"]).touch()
    return func.HttpResponse("slept")


@app.route("broken", methods=["GET"])
def broken(req: func.HttpRequest) -> func.HttpResponse:
    raise RuntimeError("this function is broken")


@app.route("cookies", methods=["GET"])
def cookies(req: func.HttpRequest) -> func.HttpResponse:
    response = func.HttpResponse("", status_code=201, headers={"X-Names": "Zażółć"})
    response.headers.add("Set-Cookie", "a=1; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=60")
    response.headers.add("Set-Cookie", "b=2; Expires=Wed, 21 Oct 2026 07:28:00 GMT")
    return response


@app.route("keyed", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
def keyed(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("opened")


@app.route("master", methods=["GET"], auth_level=func.AuthLevel.ADMIN)
def master(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("opened")


@app.route("enqueue/{text}", methods=["POST"])
@app.queue_output("out", "orders", "AzureWebJobsStorage")
def enqueue(req: func.HttpRequest, out: func.Out[str]) -> func.HttpResponse:
    out.set(req.route_params["text"])
    return func.HttpResponse(status_code=202)


@app.route("read/{name}", methods=["GET"])
@app.blob_input("content", "results/{name}", "AzureWebJobsStorage")
def read(req: func.HttpRequest, content: str) -> func.HttpResponse:
    return func.HttpResponse(content or "nothing", status_code=200 if content else 404)


@app.queue_trigger("message", "orders", "AzureWebJobsStorage")
@app.blob_output("record", "results/{id}-{dequeueCount}", "AzureWebJobsStorage")
def take_order(message: func.QueueMessage, record: func.Out[str]) -> None:
    text = message.get_body().decode()
    if text == "fail":
        raise RuntimeError("this message cannot be taken")
    record.set(f"{text} {message.dequeue_count}")


@app.blob_trigger("blob", "uploads/{name}", "AzureWebJobsStorage")
@app.queue_output("$return", "seen", "AzureWebJobsStorage")
def see_upload(blob: func.InputStream) -> str:
    content = blob.read()
    if content == b"fail":
        raise RuntimeError("this blob cannot be seen")
    return f"{blob.name} {blob.length} {len(content)}"


@app.timer_trigger("timer", "%TICK%")
@app.queue_output("$return", "ticks", "AzureWebJobsStorage")
def tick(timer: func.TimerRequest) -> str:
    status = timer.schedule_status  # type: ignore[attr-defined]  # missing in the published type
    return json.dumps({"pid": os.getpid(), "late": timer.past_due, "next": status["Next"]})
