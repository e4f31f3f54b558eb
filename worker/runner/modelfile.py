"""The trained model as the file that is kept."""

from pathlib import Path

from chaos_core.fitted import Fitted, config, to_safetensors

from ..protocol import ArtifactMade
from .writing import write_whole

MODEL_FILE = "model.safetensors"


def model_name(fitted: Fitted) -> str:
    return str(config(fitted)["cell"])


def write_model(folder: Path, fitted: Fitted, *, file: str = MODEL_FILE) -> ArtifactMade:
    """Each `file` is told of once, since the supervisor takes it away."""
    write_whole(folder / file, to_safetensors(fitted))
    facts = {
        "name": model_name(fitted),
        "config": config(fitted),
        "parameter_count": sum(int(value.size) for value in fitted.params.values()),
    }
    media_type = "application/vnd.safetensors"
    return ArtifactMade(kind="model", file=file, name=MODEL_FILE, media_type=media_type, facts=facts)
