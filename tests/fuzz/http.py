"""Generated requests, right and wrong ones, to every route of a running service: every answer must be as its
OpenAPI document says, and none a 5xx.

`./scripts/fuzz http [--calls 20000] [--seed 0] [--databases sqlite postgres]`. The service is a process of its own,
without a worker; ids of a finished training and of all that it left are among what is tried.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import httpx

from api.app import create_app
from chaos_store import keys
from chaos_store.engine import open_database
from chaos_store.scopes import Scope
from chaos_store.settings import Settings
from tests.api.inhabitants import ids_of
from tests.api.living import a_fitted, lives
from tests.bench.serving import place, serve, service
from tests.servers import ValkeyServer

KNOWN = {"system": "lorenz63", "family": "cells", "model_type": "lstm"}
METHODS = {"get", "put", "post", "delete", "patch", "head"}
TRIED_REAL = 0.8
REFUSALS = [200, 201, 202, 204, 304, 401, 403, 404, 409, 412, 413, 415, 422, 429]
"""What a request that fits the schema may be answered: a schema cannot tell that a cursor was made up, that a file is
no table, or that a dataset has other columns. Anything else counts as a failure, above all 400 and 500."""
LATER = ["analyses_figure", "analyses_figure_head"]
"""A picture is there when the job has made it, and no worker runs here."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=20_000, help="at least so many on each database")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgres"])
    parser.add_argument("--only", help="operations whose id matches this pattern")
    parser.add_argument("--phases", default="examples,coverage,fuzzing,stateful")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    how = parser.parse_args()
    if how.serve:
        serve(how.serve, create_app(Settings(max_wait_s=1.0)))
        return
    with ValkeyServer() as broker:
        failed = [kind for kind in how.databases if not tried(kind, broker.url, how)]
    sys.exit(bool(failed))


def tried(kind: str, broker_url: str, how: argparse.Namespace) -> bool:
    with place(kind) as (settings, folder):
        key, ids = inhabited(settings)
        with service(settings, folder, "tests.fuzz.http", broker_url=broker_url) as (url,):
            return run(kind, url, key, ids, folder, how)


def inhabited(settings: Settings) -> tuple[str, dict[str, str]]:
    database = open_database(settings)
    with database.write.begin() as session:
        project_id = keys.create_project(session, "fuzz").id
        key = keys.issue(session, project_id, "fuzz", scopes=list(Scope))[1]
    ids = ids_of(database, project_id, lives(database, project_id, a_fitted()).ids)
    database.dispose()
    return key, {name: value for name, value in ids.items() if name != "number"} | KNOWN


def run(kind: str, url: str, key: str, ids: dict[str, str], folder: Path, how: argparse.Namespace) -> bool:
    document = httpx.get(f"{url}/openapi.json").json()
    operations = sum(method in METHODS for path in document["paths"].values() for method in path)
    config, report = folder / "schemathesis.toml", folder / "report.json"
    config.write_text(_config(key, ids))
    command = [
        sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run", f"{url}/openapi.json",
        "--checks", "all", "--phases", how.phases, "--max-examples", str(-(-how.calls // operations)),
        "--seed", str(how.seed),
        "--continue-on-failure", "--request-timeout", "60", "--generation-database", "none", "--report", "json",
        "--report-json-path", str(report), *(["--include-operation-id-regex", how.only] if how.only else []),
    ]  # fmt: skip
    code = subprocess.run(command, cwd=folder).returncode
    sys.stdout.write(f"{kind}: {operations} operations, exit {code}: {_summary(report)}\n")
    sys.stdout.flush()
    return code == 0


def _config(key: str, ids: dict[str, str]) -> str:
    lines = ["[auth.openapi.ApiKey]", f'bearer = "{key}"', ""]
    lines += [line for name, value in ids.items() for line in (f"[dictionaries.{name}]", f'values = ["{value}"]', "")]
    lines += [
        line
        for name in ids
        for line in (f'[parameters."{name}"]', f'dictionary = "{name}"', f"probability = {TRIED_REAL}", "")
    ]
    lines += ["[checks.positive_data_acceptance]", f"expected-statuses = {REFUSALS}", ""]
    for operation in LATER:
        lines += ["[[operations]]", f'include-operation-id = "{operation}"']
        lines += ["checks.ensure_resource_availability.enabled = false", ""]
    return "\n".join(lines)


def _summary(report: Path) -> Any:
    return json.loads(report.read_text())["test_cases"] if report.exists() else "no report"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory():
        main()
