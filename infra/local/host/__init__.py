"""A local Azure Functions host: a front for Microsoft's `azure-functions-runtime`, which indexes and invokes the app.

`python -m infra.local.host [--app DIR] [--port 7071] [--workers N]`

One supervisor binds the port and starts the other processes: HTTP workers that share the port, and one background
process that runs every blob, queue and timer trigger, so that each fires once. The app does not know this host
and starts unchanged under Azure Functions Core Tools.

Settings come from the environment, then from `Values` in local.settings.json. Besides those of Azure
(`AzureWebJobsStorage`, `AzureWebJobs.<function>.Disabled`, `PYTHON_THREADPOOL_THREAD_COUNT`, …) there are:

- `FUNCTIONS_KEYS_FILE`: the file of the keys, `.local/functions-keys.json` by default, made at the first start:
  `master` opens everything, `default` opens every function, and `functions` may hold a key for each name;
- `FUNCTIONS_BLOB_POLL_SECONDS`: how often containers are scanned, 0.5 by default;
- `FUNCTIONS_BACKGROUND_NICENESS`: the niceness of the background process (higher yields more), 10 by default;
- `FUNCTIONS_LOG_LEVEL`: INFO by default; DEBUG shows each triggered run;
- `FUNCTIONS_REQUEST_BODY_SIZE_LIMIT`: the largest body in bytes, 100 MB by default.

Where it differs from Azure:

- a path that exists only for other methods answers 405 with `Allow`, where Azure answers 404;
- a blob trigger scans its container, whatever its `source`; versions that are done have receipts in
  `azure-webjobs-hosts`, and a failed try is repeated within two seconds;
- `functionTimeout`: the caller gets a 500 (a message gets its next try), then the process finishes its other work and
  is replaced, because nothing else can end a thread;
- `POST /admin/functions/{name}` runs the function in the HTTP worker that gets the request, while the background
  process goes on;
- a message that is being worked on is leased for a minute at a time, so it comes back soon after a host is killed;
- retry policies (`@app.retry`), HTTP streaming, and bindings other than HTTP, timer, queue and blob are not supported.
"""
