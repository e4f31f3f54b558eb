"""python -m api.document > openapi.json"""

import json
import sys
import tempfile
from pathlib import Path

from chaos_store.settings import Settings

from .app import create_app


def text() -> str:
    """The OpenAPI document; it depends on the code alone."""
    with tempfile.TemporaryDirectory() as folder:
        document = create_app(Settings(data_dir=Path(folder))).openapi()
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())
