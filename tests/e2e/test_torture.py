"""A small run of scripts/torture on each form of the service; the large ones are for the notes."""

import pytest

from tests.torture.run import torture
from tests.torture.scene import Order


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_each_job_ends_once_and_rightly_whatever_dies(database: str) -> None:
    told: list[str] = []
    order = Order(jobs=8, seconds=10, seed=1, database=database, period_s=2.5, patience_s=5, seeds=1)
    ledger = torture(order, told.append)
    assert ledger.clean, "\n".join([*told, ledger.text()])
