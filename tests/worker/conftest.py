"""The desk of the worker's tests."""

import threading
from pathlib import Path

import pytest

from chaos_store.engine import Database
from chaos_store.settings import Settings
from tests.worker.desk import Desk


@pytest.fixture
def desk(database: Database, settings: Settings, project_id: str, tmp_path: Path) -> Desk:
    quick = settings.model_copy(update={"heartbeat_s": 0.2, "cancel_grace_s": 0.3})
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return Desk(database, quick, project_id, scratch, threading.Event())
