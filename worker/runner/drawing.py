"""Figures as files in the job folder."""

from pathlib import Path

from ..protocol import ArtifactMade
from .channel import Channel

MEDIA_TYPES = {"svg": "image/svg+xml", "png": "image/png"}


def send_figure(folder: Path, channel: Channel, name: str, formats: dict[str, bytes]) -> None:
    for suffix, content in formats.items():
        file = f"{name}.{suffix}"
        (folder / file).write_bytes(content)
        channel.send(ArtifactMade(kind="figure", file=file, name=file, media_type=MEDIA_TYPES[suffix]))
