"""What a process logs: one line for each event, whoever logs it."""

import json
import os
import subprocess
import sys
from typing import Any

KEY = "chaos_" + "k" * 43
PROGRAM = """
import logging, threading, warnings
from chaos_store import logs
from chaos_store.settings import Settings
logs.set_up(Settings())
logs.bind(request_id="req_1", nothing=None)
with logs.binding(job_id="job_1"):
    logging.getLogger("ours").info("two\\nlines of %s", "text", extra={"count": 3})
logging.getLogger("library").warning("no job")
logging.getLogger("quiet").debug("not shown")
try:
    raise ValueError("KEY \\ud800")
except ValueError:
    logging.getLogger("ours").exception("it failed")
warnings.warn("look out")
thread = threading.Thread(target=lambda: 1 / 0, name="aside")
thread.start()
thread.join()
raise RuntimeError("the end of KEY")
""".replace("KEY", KEY)


def said(**settings: str) -> tuple[int, list[str]]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CHAOS_")} | settings
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == ""
    return done.returncode, done.stderr.splitlines()


def test_every_line_is_one_json_document_with_what_is_known() -> None:
    code, lines = said()
    told: list[dict[str, Any]] = [json.loads(line) for line in lines]
    assert code == 1
    assert all(list(line)[:4] == ["time", "level", "logger", "message"] for line in told)
    assert all(line["time"].endswith("Z") for line in told)
    first, second, failed, warned, aside, end = told
    facts = {"level": "info", "logger": "ours", "message": "two\nlines of text", "job_id": "job_1", "count": 3}
    assert {name: first[name] for name in facts} == facts
    assert all(line["request_id"] == "req_1" for line in (first, second, failed))
    assert "job_id" not in second and "nothing" not in first
    assert (second["logger"], second["level"]) == ("library", "warning")
    assert "ValueError" in failed["exception"]
    assert (warned["logger"], aside["level"]) == ("py.warnings", "critical")
    assert "ZeroDivisionError" in aside["exception"] and "aside" in aside["message"]
    assert "RuntimeError" in end["exception"]


def test_no_line_shows_a_key_in_either_form() -> None:
    for form in ("json", "text"):
        assert KEY not in "\n".join(said(CHAOS_LOG_FORMAT=form)[1])


def test_text_is_for_people_and_the_level_is_a_setting() -> None:
    _, lines = said(CHAOS_LOG_FORMAT="text", CHAOS_LOG_LEVEL="warning")
    text = "\n".join(lines)
    assert "no job" in text and "lines of text" not in text
    assert "\x1b" not in text
