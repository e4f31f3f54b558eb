"""GET of a job as most clients send it, without a query: answered before FastAPI solves what the route asks for."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from .deps import ApiKey, context_of

identify = ApiKey()


class Polled(APIRoute):
    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        in_full = super().get_route_handler()

        async def handle(request: Request) -> Response:
            if request.scope["query_string"]:
                return await in_full(request)
            caller, context = await identify(request), await context_of(request)
            document = await context.asking.job(caller.project_id, request.path_params["job_id"])
            return document.answer(request)

        return handle
