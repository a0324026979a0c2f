"""A new kind of order line needs no change in placing, prices, refunds, books or reports."""

import json
import os
import subprocess
import sys

from infra.local.home import REPOSITORY


def test_a_new_kind_of_line_is_sold_paid_refunded_and_reported_by_being_declared(fresh_database, app_environment):
    ran = subprocess.run(
        [sys.executable, "-m", "tests.domain.selling_shirts", fresh_database],
        cwd=REPOSITORY,
        env=os.environ | app_environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert told == {
        "amounts": [8_000, 600, 8_600],  # two seats at 10.00, three shirts at 20.00 with 10 % tax
        "held": [[2, 0], [3, 0]],
        "too many": ["sold_out", {"shirt_id": told["too many"][1]["shirt_id"], "remaining": 2}],
        "no such": ["unknown_shirt", {}],
        "paid": [[0, 2], [0, 3]],
        "two shirts back": [4_400, 0, [[0, 2], [0, 1]], "partially_refunded"],
        "three more back": ["refund_exceeds_paid", told["three more back"][1]],
        "expired": [[0, 2], [0, 1]],
        "paid late": [[[0, 2], [0, 5]], "paid"],
        "all back": [[[0, 2], [0, 1]], "refunded"],
        "given up": [[0, 2], [0, 1]],
        "findings": [],
        "summary": [16_000, 1_400, 2, 2],
        "sales report": ["Seat,10.00", "Seat,10.00", "T-shirt,60.00", "T-shirt,80.00"],
        "orders report": ["1 × Seat; 1 × T-shirt", "2 × Seat; 3 × T-shirt", "4 × T-shirt"],
        "stolen": ["“T-shirt” counts 0 held and 2 sold; its orders have 0 and 1."],
    }
    assert told["three more back"][1]["remaining_quantity"] == 1
