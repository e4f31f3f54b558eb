"""What this process is watched by: its meters, the tally of the database, the prober; and who may look."""

import hmac
import ipaddress
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from chaos_store.settings import Settings

from .context import Context
from .errors import MetricsPrivate, Unauthorized
from .meters import Meters, Pools
from .readiness import Prober
from .tally import Tally

FROM_A_PROXY = ("forwarded", "x-forwarded-for", "x-real-ip", "via")


@dataclass(frozen=True)
class Instruments:
    meters: Meters
    prober: Prober
    tally: Tally

    @classmethod
    def of(cls, context: Context, version: str) -> "Instruments":
        meters = Meters(version)
        meters.registry.register(Pools(context.database, context.bulk))
        return cls(meters, Prober(context), Tally(context.database, context.settings, meters.registry))

    async def close(self) -> None:
        await self.prober.close()
        await self.tally.close()


def instruments_of(request: Request) -> Instruments:
    instruments: Instruments = request.app.state.instruments
    return instruments


Watched = Annotated[Instruments, Depends(instruments_of)]


def require_watcher(request: Request, settings: Settings) -> None:
    """Whoever has the token; where there is none, whoever asks from this machine and through no proxy."""
    token = settings.metrics_token
    if token is None:
        if not _is_local(request):
            raise MetricsPrivate("the request comes from another machine, or through a proxy")
        return
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(given.encode(), token.get_secret_value().encode()):
        raise Unauthorized("the metrics want the token of CHAOS_METRICS_TOKEN")


def _is_local(request: Request) -> bool:
    if request.client is None or any(name in request.headers for name in FROM_A_PROXY):
        return False
    try:
        address = ipaddress.ip_address(request.client.host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)
