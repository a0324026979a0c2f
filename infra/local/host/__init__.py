"""A local Azure Functions host: a front for Microsoft's `azure-functions-runtime`, which indexes and invokes the app.

`python -m infra.local.host [--app DIR] [--port 7071] [--workers N]`

One supervisor binds the port and starts the other processes: HTTP workers that share the port, and one background
process that runs every blob, queue and timer trigger, so that each fires once. The app knows nothing of any of this
and starts unchanged under Azure Functions Core Tools.
"""
