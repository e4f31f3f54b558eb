"""What is made on request from stored bytes, in a thread and within bounds."""

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from chaos_core.fitted import Fitted, from_safetensors
from chaos_store.tables import TrainedModel

from .content import whole
from .context import Context
from .errors import ConversionTooLarge

MAX_PARAMETERS = 16_000_000
MAX_MADE_BYTES = 256 * 1024 * 1024

Given = ParamSpec("Given")
Made = TypeVar("Made")


async def make(context: Context, function: Callable[Given, Made], *args: Given.args, **kwargs: Given.kwargs) -> Made:
    async with context.maker_slots:
        return await asyncio.to_thread(function, *args, **kwargs)


async def load(context: Context, row: TrainedModel) -> Fitted:
    if row.parameter_count > MAX_PARAMETERS:
        detail = f"the model has {row.parameter_count} parameters; models of up to {MAX_PARAMETERS} are run here"
        raise ConversionTooLarge(detail, value=row.parameter_count, limit=MAX_PARAMETERS)
    return await make(context, from_safetensors, await whole(context, row.sha256))


def check_bytes(size: int, what: str) -> None:
    if size > MAX_MADE_BYTES:
        raise ConversionTooLarge(f"{what}: {size} bytes, at most {MAX_MADE_BYTES}", value=size, limit=MAX_MADE_BYTES)
