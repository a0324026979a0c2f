"""A local Azure Functions host: a front for Microsoft's `azure-functions-runtime`, which indexes and invokes the app.

`python -m infra.local.host [--app DIR] [--port 7071] [--workers N]`

One supervisor binds the port and starts the other processes: HTTP workers that share the port, and one background
process that runs every blob, queue and timer trigger, so that each fires once. The app knows nothing of any of this
and starts unchanged under Azure Functions Core Tools.

Settings come from the environment, then from `Values` in local.settings.json. Besides those of Azure
(`AzureWebJobsStorage`, `AzureWebJobs.<function>.Disabled`, `PYTHON_THREADPOOL_THREAD_COUNT`, …) there are:

- `FUNCTIONS_KEYS_FILE`: the keys, else `.local/functions-keys.json`, made at the first start: `master` opens all,
  `default` every function, and `functions` may hold a key for each name;
- `FUNCTIONS_BLOB_POLL_SECONDS`: how often containers are scanned, 0.5 by default;
- `FUNCTIONS_BACKGROUND_NICENESS`: how far the background process stands back, 10 by default;
- `FUNCTIONS_LOG_LEVEL`: INFO by default; DEBUG shows each triggered run;
- `FUNCTIONS_REQUEST_BODY_SIZE_LIMIT`: bytes, 100 MB by default.

Where it differs from Azure:

- a path that knows other methods answers 405 with `Allow`, where Azure says 404;
- a blob trigger scans its container, whatever its `source`; versions already dealt with have receipts in
  `azure-webjobs-hosts`, tries follow each other within two seconds;
- `functionTimeout`: the caller gets a 500 (a message its next try), then the process lets its other work finish and is
  replaced, since nothing else ends a thread;
- `POST /admin/functions/{name}` runs the function in the HTTP worker that was asked, beside the background process;
- a message being worked on is leased for a minute at a time, so that it is back soon after a host was killed;
- retry policies (`@app.retry`), HTTP streaming, and bindings other than HTTP, timer, queue and blob are left out.
"""
