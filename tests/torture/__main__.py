"""./scripts/torture [--jobs N --seconds S --seed K --database sqlite|postgres] | --fault NAME"""

import argparse
import signal
import sys
import time

from tests.torture.run import Order, torture
from tests.torture.services import DEPLOYMENTS


def say(line: str) -> None:
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {line}\n")
    sys.stdout.flush()


def _give_up(number: int, _frame: object) -> None:
    """As an exception, so that each `with` ends the processes it started."""
    raise SystemExit(128 + number)


def main() -> int:
    parser = argparse.ArgumentParser(prog="./scripts/torture", description=__doc__)
    parser.add_argument("--jobs", type=int, default=60, help="how many are submitted; 1 in 20 trains")
    parser.add_argument("--seconds", type=float, default=600.0, help="submission ends after so long")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--period", type=float, default=2.0, help="seconds from one blow to the next, on average")
    parser.add_argument("--database", choices=list(DEPLOYMENTS), default="sqlite")
    parser.add_argument("--keep", action="store_true", help="leave the folder of the run even when all is clean")
    how = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _give_up)
    order = Order(how.jobs, how.seconds, how.seed, how.database, how.period, how.keep)
    ledger = torture(order, say)
    say("ledger\n" + ledger.text())
    return 0 if ledger.clean else 1


if __name__ == "__main__":
    raise SystemExit(main())
