import azure.functions as func

app = func.FunctionApp()


@app.route("x")
def needs_more(req: func.HttpRequest, extra: str) -> func.HttpResponse:
    return func.HttpResponse(extra)
