from functools import cache

from fastapi import APIRouter, Request, Response
from prometheus_client.exposition import choose_encoder

from chaos_core.errors import UnknownKind
from chaos_core.families import FAMILIES, described
from chaos_store.errors import NotFound

from .. import problems
from ..deps import MAX_PAGE, Shared
from ..diagnosing import MAX_WORK
from ..envelope import MAX_JSON_BYTES
from ..errors import MetricsPrivate, Unauthorized
from ..instruments import Watched, require_watcher
from ..running import LIMITS
from ..schemas.problem import ProblemKind, ProblemKinds
from ..schemas.service import KindOut, Limits, Live, ModelTypes, Ready
from ..schemas.uploads import MAX_PART_BYTES, MAX_PARTS

TEXT = "text/plain"

probes = APIRouter(tags=["service"])
router = APIRouter(tags=["service"])


@probes.get("/livez", operation_id="service_live", summary="The process answers")
async def live() -> Live:
    return Live()


@probes.get(
    "/readyz",
    operation_id="service_ready",
    summary="Database, migrations and broker answer",
    description="In bounded time, also where one of them hangs. `workers` are those alive; they decide nothing.",
    responses={503: {"model": Ready, "description": "`checks` names what is down"}},
)
async def ready(instruments: Watched, response: Response) -> Ready:
    checks, workers = await instruments.prober.check()
    good = all(state == "ok" for state in checks.values())
    response.status_code = 200 if good else 503
    return Ready(status="ok" if good else "unavailable", checks=checks, workers=workers)


@probes.get(
    "/metrics",
    operation_id="service_metrics",
    summary="Numbers for Prometheus",
    description="With the setting `metrics_token` that token is wanted as bearer token; without it only clients on the "
    "same machine are answered.",
    response_class=Response,
    responses=problems.declared(Unauthorized, MetricsPrivate)
    | {200: {"description": "the text format of Prometheus", "content": {TEXT: {"schema": {"type": "string"}}}}},
)
async def metrics(request: Request, context: Shared, instruments: Watched) -> Response:
    require_watcher(request, context.settings)
    await instruments.tally.refresh()
    encode, media_type = choose_encoder(request.headers.get("accept", ""))
    return Response(encode(instruments.meters.registry), headers={"Content-Type": media_type})


@router.get("/limits", operation_id="limits_get", summary="What this service takes at most")
async def limits(context: Shared) -> Limits:
    facts = {name: getattr(context.settings, name, None) for name in Limits.model_fields}
    fixed = {"object": "limits", "max_json_bytes": MAX_JSON_BYTES, "max_page": MAX_PAGE}
    fixed |= {"max_part_bytes": MAX_PART_BYTES, "max_parts": MAX_PARTS}
    fixed |= {"max_diagnosis_work": MAX_WORK}
    return Limits.model_validate(facts | fixed | LIMITS)


@router.get("/model-types", operation_id="model_types_list", summary="All that a spec may name, with its settings")
async def model_types() -> ModelTypes:
    return ModelTypes.model_validate({family: list(members.values()) for family, members in _described().items()})


@router.get(
    "/model-types/{family}/{model_type}",
    operation_id="model_types_get",
    summary="One of them, such as cells/clipped_shplrnn",
    responses=problems.declared(NotFound),
)
async def one_model_type(family: str, model_type: str) -> KindOut:
    members = _described().get(family, {})
    if model_type not in members:
        detail, known = f"There is no {model_type} among the {family}.", list(members or FAMILIES)
        raise NotFound(detail, kind="model_type", id=f"{family}/{model_type}", known=known)
    return members[model_type]


@cache
def _described() -> dict[str, dict[str, KindOut]]:
    return {
        family: {kind: KindOut(**described(kind, settings)._asdict()) for kind, settings in members.items()}
        for family, members in FAMILIES.items()
    }


@router.get("/problems", operation_id="problems_list", summary="Every error code, its status and its remedy")
async def problem_kinds() -> ProblemKinds:
    return ProblemKinds(data=problems.kinds())


@router.get(
    "/problems/{code}",
    operation_id="problems_get",
    summary="One error code",
    responses=problems.declared(UnknownKind),
)
async def problem_kind(code: str) -> ProblemKind:
    known = {kind.code: kind for kind in problems.kinds()}
    if code not in known:
        raise UnknownKind(f"there is no error code '{code}'", known=sorted(known))
    return known[code]
