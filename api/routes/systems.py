import asyncio
import io
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Response
from starlette.datastructures import UploadFile

from chaos_core import errors as core
from chaos_core.series import Series
from chaos_core.systems import SYSTEMS, System, as_csv, record
from chaos_store.errors import NotFound, StorageFull

from .. import problems
from ..context import Context
from ..deps import JsonBody, Known, Shared
from ..errors import BodyTooLarge, DatabaseUnavailable, InvalidJson, UnsupportedMediaType
from ..schemas.datasets import DatasetOptions, DatasetOut
from ..schemas.systems import GeneratedCreate, SystemOut, Systems
from ..storing import store_parsed
from ..uploads import Upload, require_room

MAX_NUMBERS = 2_000_000
MAX_WORK = 10_000_000

router = APIRouter(tags=["service"])
datasets = APIRouter(prefix="/systems", tags=["datasets"])


@router.get("/systems", operation_id="systems_list", summary="Known systems to generate datasets from")
async def systems() -> Systems:
    return _listed()


@router.get(
    "/systems/{system}", operation_id="systems_get", summary="One known system", responses=problems.declared(NotFound)
)
async def one(system: str) -> SystemOut:
    return SystemOut.of(system, _known(system))


def _known(kind: str) -> type[System]:
    if kind not in SYSTEMS:
        raise NotFound(f"There is no system {kind}.", kind="system", id=kind, known=list(SYSTEMS))
    return SYSTEMS[kind]


@cache
def _listed() -> Systems:
    data = [SystemOut.of(kind, settings) for kind, settings in SYSTEMS.items()]
    return Systems(max_numbers=MAX_NUMBERS, max_work=MAX_WORK, data=data)


@datasets.post(
    "/{system}/datasets",
    status_code=201,
    operation_id="datasets_generate",
    summary="Generate a dataset from a known system",
    description="The dataset is as if its CSV had been uploaded; `options.generated` says what it was made from.",
    dependencies=[JsonBody],
    responses=problems.declared(
        NotFound, core.TooShort, core.TooLarge, core.BadShape, core.ConstantChannel, core.UnknownColumn,
        core.Inconsistent, InvalidJson, BodyTooLarge, UnsupportedMediaType, DatabaseUnavailable, StorageFull,
        *problems.QUOTAS,
    ),
)  # fmt: skip
async def generate(
    system: str, body: GeneratedCreate, caller: Known, context: Shared, response: Response
) -> DatasetOut:
    chosen = body.configured(_known(system))
    _check_size(context, chosen, body)
    async with context.generator_slot:
        series, content = await asyncio.to_thread(_recorded, chosen, body)
    upload = _as_upload(system, chosen, body, series, content)
    await require_room(context, caller, upload.size)
    with tempfile.TemporaryDirectory(prefix="chaos-upload-") as name:
        parsed = Path(name) / "series.npz"
        await asyncio.to_thread(series.write_npz, parsed)
        row = await asyncio.to_thread(store_parsed, context, caller, upload, parsed, _facts(series))
    made = DatasetOut.of(row)
    response.headers["Location"] = made.links.self
    return made


def _check_size(context: Context, system: System, body: GeneratedCreate) -> None:
    channels = len(system.names)
    limit = min(context.settings.max_rows, MAX_NUMBERS // channels)
    if body.steps > limit:
        raise core.TooLarge(
            f"{body.steps} steps of {channels} channels; at most {limit} steps of this system are generated at once",
            value=body.steps,
            limit=limit,
        )


def _recorded(system: System, body: GeneratedCreate) -> tuple[Series, bytes]:
    series = record(
        system,
        body.steps,
        noise=body.noise,
        noise_seed=body.noise_seed,
        channels=body.channels,
        limit=MAX_WORK,
    )
    return series, as_csv(series)


def _as_upload(kind: str, system: System, body: GeneratedCreate, series: Series, content: bytes) -> Upload:
    asked = body.model_dump(mode="json", exclude={"name", "settings"})
    return Upload(
        UploadFile(io.BytesIO(content), size=len(content), filename=f"{kind}.csv"),
        len(content),
        f"{kind}.csv",
        DatasetOptions(name=body.name or kind, dt=series.dt, inputs=list(series.input_names) or None),
        origin={"system": system.model_dump(mode="json")} | asked,
    )


def _facts(series: Series) -> dict[str, Any]:
    return {
        "format": "csv",
        "rows": series.length,
        "channels": series.channels,
        "names": list(series.names),
        "dt": series.dt,
        "missing_count": 0,
        "stretches": 1,
        "input_names": list(series.input_names),
    }
