"""All that a finished job made, as one zip: the same job gives the same bytes."""

import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from chaos_core.fitted import from_safetensors
from chaos_core.onnx_model import to_onnx
from chaos_core.reader_script import READER_FILE, reader_script

from .card import CARD_FILE, card, references
from .schemas.lineage import LineageOut

MODEL_FILE = "model.safetensors"
DATE = (1980, 1, 1, 0, 0, 0)
READABLE = 0o644 << 16


def pack(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as packed:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, DATE)
            entry.external_attr, entry.create_system = READABLE, 3
            packed.writestr(entry, files[name])
    return buffer.getvalue()


def about_job(plan: Mapping[str, Any] | None, scores: Mapping[str, Any] | None, floors: Any) -> dict[str, bytes]:
    return {"plan.json": as_json(plan), "scores.json": as_json({"scores": scores, "baselines": floors})}


def about_model(content: bytes, told: LineageOut) -> dict[str, bytes]:
    fitted = from_safetensors(content)
    return {
        "model.onnx": to_onnx(fitted),
        READER_FILE: reader_script(fitted).encode(),
        CARD_FILE: card(told).encode(),
        "lineage.json": as_json(told),
        "REFERENCES.md": f"# References\n\n{references(told)}\n".encode(),
    }


def as_json(value: Any) -> bytes:
    facts = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
    return json.dumps(facts, indent=2, sort_keys=True, ensure_ascii=False).encode() + b"\n"
