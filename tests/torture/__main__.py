"""./scripts/torture [--jobs N --seconds S --seed K --database sqlite|postgres] | --fault NAME [--times N]"""

import argparse
import signal
import sys
import time
import traceback

from tests.torture.faults import FAULTS
from tests.torture.ledger import Ledger
from tests.torture.run import torture
from tests.torture.scene import Order, scene
from tests.torture.services import DEPLOYMENTS


def say(line: str) -> None:
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {line}\n")
    sys.stdout.flush()


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./scripts/torture", description=__doc__)
    parser.add_argument("--jobs", type=int, default=60, help="how many are submitted; 1 in 20 trains")
    parser.add_argument("--seconds", type=float, default=600.0, help="submission ends after so long")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--period", type=float, default=2.0, help="seconds from one blow to the next, on average")
    parser.add_argument("--patience", type=float, default=240.0, help="killing goes on so long after the last job came")
    parser.add_argument("--database", choices=list(DEPLOYMENTS), default="sqlite")
    parser.add_argument("--fault", choices=list(FAULTS), help="one kind of fault with figures, instead of random death")
    parser.add_argument("--times", type=int, help="how often a single fault strikes")
    parser.add_argument("--keep", action="store_true", help="leave the folder of the run even when all is clean")
    return parser.parse_args()


def main() -> int:
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _give_up)
    how = arguments()
    order = Order(
        how.jobs, how.seconds, how.seed, how.database, how.period, how.patience, times=how.times, keep=how.keep
    )
    ledger = torture(order, say) if how.fault is None else _play(how.fault, order)
    say("ledger\n" + ledger.text())
    return 0 if ledger.clean else 1


def _play(name: str, order: Order) -> Ledger:
    ledger, fault = Ledger(), FAULTS[name]
    try:
        with scene(order, say, ledger, **fault.needs) as stage:
            say(f"{name} begins")
            fault.play(stage)
    except (TimeoutError, AssertionError) as error:
        ledger.must_be_empty("broken off", [f"{type(error).__name__}: {error}"])
        say(traceback.format_exc(limit=-3))
    return ledger


def _give_up(number: int, _frame: object) -> None:
    """As an exception, so that each `with` ends the processes it started."""
    raise SystemExit(128 + number)


if __name__ == "__main__":
    raise SystemExit(main())
