"""The process's Prometheus metrics; names and labels are few and bounded.

Business counts (tickets sold, orders) are read from the database when Prometheus asks, so they agree however many
instances run; only what a process alone knows (latencies, answers) is counted in the process.
"""

from prometheus_client import Counter, Histogram

REQUEST_SECONDS = Histogram(
    "boxoffice_http_request_seconds",
    "Time from the call of a function to its answer.",
    ["function", "status"],
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.3, 1, 3, 10),
)
RETRIES = Counter(
    "boxoffice_transaction_retries", "Transactions run again after a deadlock or a lost connection.", ["reason"]
)
