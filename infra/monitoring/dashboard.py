"""Writes the Grafana dashboard: `python -m infra.monitoring.dashboard`. It has exactly the panels listed here."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DASHBOARD = Path(__file__).with_name("grafana-dashboard.json")

_COLUMNS = 24
_SECONDS = "boxoffice_http_request_seconds"
_SOURCE = {"type": "prometheus", "uid": "${source}"}


@dataclass(frozen=True)
class Panel:
    """A graph (or a number) that shows some queries; `queries` are pairs (expression, legend)."""

    title: str
    queries: tuple[tuple[str, str], ...]
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 8
    height: int = 7
    red_above: float | None = None


_SELLING = [
    Panel("Orders", (("sum(rate(ticket_purchases_total[5m])) * 60", "a minute"),)),
    Panel("Tickets sold", (("max(tickets_sold)", ""),), kind="stat"),
    Panel("Promo codes redeemed", (("sum(increase(promo_codes_redeemed_total[1h]))", "in the last hour"),)),
    Panel("Packages made", (("max(ticket_packages_created_total)", ""),), kind="stat"),
    Panel(
        "Refused",
        (("topk(8, sum by (code) (rate(boxoffice_refusals_total[5m])))", "{{code}}"),),
        unit="reqps",
        width=16,
    ),
]
_ANSWERING = [
    Panel("Requests", (("sum by (status) (rate(boxoffice_http_request_seconds_count[5m]))", "{{status}}"),), "reqps"),
    Panel(
        "95 of 100 are faster than",
        (
            (
                f"topk(10, histogram_quantile(0.95, sum by (le, function) (rate({_SECONDS}_bucket[5m]))))",
                "{{function}}",
            ),
        ),
        "s",
        width=16,
    ),
    Panel(
        "Server errors",
        (('sum by (function) (rate(boxoffice_http_request_seconds_count{status="5xx"}[5m]))', "{{function}}"),),
        "reqps",
    ),
    Panel(
        "Transactions run again",
        (("sum by (reason) (rate(boxoffice_transaction_retries_total[5m]))", "{{reason}}"),),
        "ops",
    ),
    Panel(
        "Average of all",
        (
            (
                f"sum(rate({_SECONDS}_sum[5m])) / sum(rate({_SECONDS}_count[5m]))",
                "mean",
            ),
        ),
        "s",
    ),
]
_BEHIND = [
    Panel("Services that answer", (("min by (dependency) (boxoffice_dependency_up)", "{{dependency}}"),), kind="stat"),
    Panel("Left alone", (("sum by (service) (increase(boxoffice_breaker_trips_total[15m]))", "{{service}}"),)),
    Panel("Poison messages", (("max by (queue) (boxoffice_poison_messages)", "{{queue}}"),), kind="stat", red_above=1),
    Panel("On the queues", (("max by (queue) (boxoffice_queue_messages)", "{{queue}}"),)),
    Panel("Outbox", (("max by (state) (boxoffice_outbox_messages)", "{{state}}"),)),
    Panel("Oldest in the outbox", (("max by (queue) (boxoffice_outbox_oldest_seconds)", "{{queue}}"),), "s"),
    Panel(
        "Background functions",
        (("sum by (function, outcome) (rate(boxoffice_job_seconds_count[5m]))", "{{function}} {{outcome}}"),),
        "ops",
        width=16,
    ),
    Panel("Reports", (("sum by (outcome) (increase(boxoffice_reports_total[1h]))", "{{outcome}}"),)),
]
_BOOKS = [
    Panel("Stock drift", (("max(boxoffice_stock_drift)", ""),), kind="stat", red_above=1),
    Panel("Orders overdue", (("max(boxoffice_overdue_orders)", ""),), kind="stat", red_above=1),
    Panel("Findings", (("max by (kind) (boxoffice_reconciliation_findings) > 0", "{{kind}}"),)),
]
ROWS = {"Selling": _SELLING, "Answering": _ANSWERING, "What stands behind": _BEHIND, "The books": _BOOKS}


def dashboard() -> dict[str, Any]:
    """The dashboard as Grafana imports it."""
    panels: list[dict[str, Any]] = []
    top = 0
    for title, row in ROWS.items():
        panels.append({"type": "row", "title": title, "gridPos": _place(0, top, _COLUMNS, 1), "panels": []})
        top, left = top + 1, 0
        for panel in row:
            if left + panel.width > _COLUMNS:
                top, left = top + panel.height, 0
            panels.append(_panel(panel, left, top))
            left += panel.width
        top += row[-1].height
    for number, made in enumerate(panels, start=1):
        made["id"] = number
    return {
        "uid": "boxoffice",
        "title": "Boxoffice",
        "tags": ["boxoffice"],
        "timezone": "browser",
        "schemaVersion": 39,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {
            "list": [{"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"}]
        },
        "panels": panels,
    }


def _panel(panel: Panel, left: int, top: int) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if panel.red_above is not None:
        steps.append({"color": "red", "value": panel.red_above})
    return {
        "type": panel.kind,
        "title": panel.title,
        "datasource": _SOURCE,
        "gridPos": _place(left, top, panel.width, panel.height),
        "fieldConfig": {
            "defaults": {"unit": panel.unit, "min": 0, "thresholds": {"mode": "absolute", "steps": steps}},
            "overrides": [],
        },
        "targets": [
            {"refId": chr(ord("A") + number), "datasource": _SOURCE, "expr": expression, "legendFormat": legend}
            for number, (expression, legend) in enumerate(panel.queries)
        ],
    }


def _place(left: int, top: int, width: int, height: int) -> dict[str, int]:
    return {"x": left, "y": top, "w": width, "h": height}


def as_text() -> str:
    """The file's content."""
    return json.dumps(dashboard(), indent=2) + "\n"


if __name__ == "__main__":
    DASHBOARD.write_text(as_text(), encoding="utf-8")
