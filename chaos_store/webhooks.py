"""Webhooks: who is told, of which events, and with which secret it is signed."""

import base64
import secrets
from typing import TypedDict, Unpack

from sqlalchemy import Select, func, select, update
from sqlalchemy.orm import Session

from .engine import now
from .errors import NotFound, TooManyWebhooks, WebhookDisabled
from .paging import Place, window
from .tables import Delivery, Project, Webhook

__all__ = ["Change", "change", "create", "delete", "disable", "get", "lock", "page", "require_enabled", "rotate"]

SECRET_PREFIX = "whsec_"
SECRET_BYTES = 32
DISABLED = "webhook_disabled"
QUIETLY = {"synchronize_session": False}


class Change(TypedDict, total=False):
    url: str
    event_types: list[str] | None
    description: str | None
    enabled: bool


def create(
    session: Session,
    *,
    project_id: str,
    url: str,
    event_types: list[str] | None = None,
    description: str | None = None,
    enabled: bool = True,
    max_webhooks: int | None = None,
) -> Webhook:
    """The caller has looked at the URL."""
    session.execute(select(Project.id).where(Project.id == project_id).with_for_update(key_share=True))
    count = session.scalar(select(func.count()).select_from(Webhook).where(Webhook.project_id == project_id)) or 0
    if max_webhooks is not None and count >= max_webhooks:
        raise TooManyWebhooks(f"The project has {count} webhooks.", value=count, limit=max_webhooks)
    webhook = Webhook(
        project_id=project_id,
        url=url,
        event_types=event_types,
        description=description,
        enabled=enabled,
        disabled_at=None if enabled else now(),
        secret=_new_secret(),
    )
    session.add(webhook)
    session.flush()
    return webhook


def get(project_id: str, webhook_id: str) -> Select[Webhook]:
    return select(Webhook).where(Webhook.project_id == project_id, Webhook.id == webhook_id)


def page(project_id: str, **place: Unpack[Place]) -> Select[Webhook]:
    return window(select(Webhook).where(Webhook.project_id == project_id), Webhook, **place)


def change(session: Session, project_id: str, webhook_id: str, **values: Unpack[Change]) -> Webhook:
    """Once disabled it gets nothing, and what was waiting for it has failed; enabling forgets why it was disabled."""
    webhook = lock(session, project_id, webhook_id)
    for name in ("url", "event_types", "description"):
        if name in values:
            setattr(webhook, name, values[name])
    wanted = values.get("enabled", webhook.enabled)
    if wanted and not webhook.enabled:
        webhook.enabled, webhook.disabled_reason, webhook.disabled_at, webhook.failing_since = True, None, None, None
    elif webhook.enabled and not wanted:
        disable(session, webhook, None)
    session.flush()
    return webhook


def rotate(session: Session, project_id: str, webhook_id: str, *, grace_s: float) -> Webhook:
    """Gives it a new secret; the one before signs too for `grace_s`."""
    webhook = lock(session, project_id, webhook_id)
    webhook.previous_secret = webhook.secret if grace_s > 0 else None
    webhook.previous_until = now() + grace_s if grace_s > 0 else None
    webhook.secret = _new_secret()
    session.flush()
    return webhook


def delete(session: Session, project_id: str, webhook_id: str) -> None:
    """With its deliveries and their log."""
    session.delete(lock(session, project_id, webhook_id, whole=True))
    session.flush()


def disable(session: Session, webhook: Webhook, reason: str | None) -> None:
    """Of a webhook that is locked; None is the client's own wish."""
    webhook.enabled, webhook.disabled_reason, webhook.disabled_at = False, reason, now()
    waiting = update(Delivery).where(Delivery.webhook_id == webhook.id, Delivery.status == "pending")
    ended = waiting.values(status="failed", reason=DISABLED, due_at=None, finished_at=now())
    session.execute(ended, execution_options=QUIETLY)
    session.flush()


def lock(session: Session, project_id: str, webhook_id: str, *, whole: bool = False) -> Webhook:
    """`whole` also keeps others from making deliveries for it."""
    locked = get(project_id, webhook_id).with_for_update(key_share=not whole)
    webhook = session.scalar(locked, execution_options={"populate_existing": True})
    if webhook is None:
        raise NotFound(f"There is no webhook {webhook_id}.", kind="webhook", id=webhook_id)
    return webhook


def require_enabled(webhook: Webhook) -> None:
    if not webhook.enabled:
        raise WebhookDisabled(f"Webhook {webhook.id} is disabled.", reason=webhook.disabled_reason)


def _new_secret() -> str:
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
