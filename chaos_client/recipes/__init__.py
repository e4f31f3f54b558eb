"""Published and tried settings as JSON, one file a recording."""

import json
from importlib import resources
from typing import Any


def recipe(name: str) -> dict[str, Any]:
    text = resources.files(__name__).joinpath(f"{name}.json").read_text()
    loaded: dict[str, Any] = json.loads(text)
    return loaded
