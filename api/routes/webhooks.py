from typing import Annotated

from fastapi import APIRouter, Body, Query, Response

from chaos_store import announcements, deliveries, webhooks
from chaos_store.addresses import place_of
from chaos_store.announcements import EventType
from chaos_store.errors import NotFound, StorageFull, TooManyWebhooks, WebhookDisabled, WebhookUrlRefused

from .. import problems
from ..context import Context
from ..deps import Admin, JsonBody, JsonIfAny, Paged, PageQuery, Shared
from ..errors import BodyTooLarge, InvalidJson, UnsupportedMediaType
from ..lookup import one, page
from ..schemas.resource import Page
from ..schemas.webhooks import (
    DeliveryLog,
    DeliveryOut,
    SecretRotate,
    Status,
    WebhookCreate,
    WebhookOut,
    WebhookUpdate,
    WebhookWithSecret,
)

BAD_BODY = (InvalidJson, BodyTooLarge, UnsupportedMediaType, StorageFull)
WITH_GRACE = SecretRotate()

router = APIRouter(prefix="/webhooks", tags=["webhooks"])
log = APIRouter(prefix="/webhook-deliveries", tags=["webhooks"])
missing = problems.declared(NotFound)


class DeliveriesQuery(PageQuery):
    status: Status | None = None
    event_type: EventType | None = None


def check_url(context: Context, url: str) -> None:
    settings = context.settings
    place_of(url, allow_http=settings.webhook_allow_http, allowed=settings.webhook_allowed_networks)


def keep_to_yourself(response: Response) -> None:
    response.headers["Cache-Control"] = "no-store"


@router.post(
    "",
    status_code=201,
    operation_id="webhooks_create",
    summary="Be told of events by signed requests; the answer holds the secret, which is not shown again",
    dependencies=[JsonBody],
    responses=problems.declared(TooManyWebhooks, WebhookUrlRefused, *BAD_BODY),
)
async def create(body: WebhookCreate, caller: Admin, context: Shared, response: Response) -> WebhookWithSecret:
    check_url(context, body.url)
    async with context.write() as session:
        row = await session.run_sync(
            webhooks.create,
            project_id=caller.project_id,
            max_webhooks=context.settings.max_webhooks,
            **body.model_dump(),
        )
        await session.refresh(row)
        made = WebhookWithSecret.of(row)
    response.headers["Location"] = made.links.self
    keep_to_yourself(response)
    return made


@router.get("", operation_id="webhooks_list", summary="Webhooks, newest first")
async def listed(query: Paged, caller: Admin, context: Shared) -> Page[WebhookOut]:
    statement = webhooks.page(caller.project_id, **query.place())
    async with context.read() as session:
        return await page(session, statement, query, WebhookOut.of)


@router.get("/{webhook_id}", operation_id="webhooks_get", summary="One webhook", responses=missing)
async def get(webhook_id: str, caller: Admin, context: Shared) -> WebhookOut:
    async with context.read() as session:
        return WebhookOut.of(await one(session, webhooks.get(caller.project_id, webhook_id), "webhook", webhook_id))


@router.patch(
    "/{webhook_id}",
    operation_id="webhooks_update",
    summary="Change URL, event types or description of a webhook; enable or disable it",
    dependencies=[JsonBody],
    responses=problems.declared(NotFound, WebhookUrlRefused, *BAD_BODY),
)
async def update(webhook_id: str, body: WebhookUpdate, caller: Admin, context: Shared) -> WebhookOut:
    if "url" in body.model_fields_set:
        check_url(context, body.url)
    given = body.model_dump(exclude_unset=True)
    async with context.write() as session:
        row = await session.run_sync(webhooks.change, caller.project_id, webhook_id, **given)
        await session.refresh(row)
        return WebhookOut.of(row)


@router.delete(
    "/{webhook_id}",
    status_code=204,
    response_class=Response,
    operation_id="webhooks_delete",
    summary="Remove a webhook with its deliveries and their log",
    responses=problems.declared(NotFound, StorageFull),
)
async def delete(webhook_id: str, caller: Admin, context: Shared) -> None:
    async with context.write() as session:
        await session.run_sync(webhooks.delete, caller.project_id, webhook_id)


@router.post(
    "/{webhook_id}/rotate-secret",
    operation_id="webhooks_rotate_secret",
    summary="Give a webhook a new secret, shown in this answer only; the old one signs too for a while",
    dependencies=[JsonIfAny],
    responses=problems.declared(NotFound, *BAD_BODY),
)
async def rotate_secret(
    webhook_id: str,
    caller: Admin,
    context: Shared,
    response: Response,
    body: Annotated[SecretRotate, Body()] = WITH_GRACE,
) -> WebhookWithSecret:
    grace_s = context.settings.webhook_secret_grace_s if body.grace_s is None else body.grace_s
    keep_to_yourself(response)
    async with context.write() as session:
        row = await session.run_sync(webhooks.rotate, caller.project_id, webhook_id, grace_s=grace_s)
        await session.refresh(row)
        return WebhookWithSecret.of(row)


@router.post(
    "/{webhook_id}/test",
    status_code=202,
    operation_id="webhooks_test",
    summary="Send an event `webhook.test` to a webhook, whichever types it takes",
    responses=problems.declared(NotFound, WebhookDisabled, StorageFull),
)
async def test(webhook_id: str, caller: Admin, context: Shared, response: Response) -> DeliveryOut:
    async with context.write() as session:
        row = await session.run_sync(announcements.send_test, caller.project_id, webhook_id)
        await session.refresh(row)
        made = DeliveryOut.of(row)
    response.headers["Location"] = made.links.self
    return made


@router.get(
    "/{webhook_id}/deliveries",
    operation_id="webhooks_deliveries",
    summary="What was and is to be sent to a webhook, newest first",
    responses=missing,
)
async def deliveries_of(
    webhook_id: str, query: Annotated[DeliveriesQuery, Query()], caller: Admin, context: Shared
) -> Page[DeliveryOut]:
    statement = deliveries.page(caller.project_id, webhook_id, **query.model_dump())
    async with context.read() as session:
        await one(session, webhooks.get(caller.project_id, webhook_id), "webhook", webhook_id)
        return await page(session, statement, query, DeliveryOut.of)


@log.get(
    "/{delivery_id}",
    operation_id="webhook_deliveries_get",
    summary="One delivery with what is sent and each attempt",
    responses=missing,
)
async def delivery(delivery_id: str, caller: Admin, context: Shared) -> DeliveryLog:
    async with context.read() as session:
        row = await one(session, deliveries.get(caller.project_id, delivery_id), "delivery", delivery_id)
        attempts = (await session.scalars(deliveries.attempts(caller.project_id, delivery_id))).all()
        return DeliveryLog.with_attempts(row, list(attempts))


@log.post(
    "/{delivery_id}/retry",
    status_code=202,
    operation_id="webhook_deliveries_retry",
    summary="Send a delivery again now, with the same id, whatever became of it",
    responses=problems.declared(NotFound, WebhookDisabled, StorageFull),
)
async def retry(delivery_id: str, caller: Admin, context: Shared, response: Response) -> DeliveryOut:
    async with context.write() as session:
        row = await session.run_sync(deliveries.retry, caller.project_id, delivery_id)
        await session.refresh(row)
        made = DeliveryOut.of(row)
    response.headers["Location"] = made.links.self
    return made
