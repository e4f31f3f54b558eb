from starlette.types import Scope


def template_of(scope: Scope) -> str | None:
    """Of the route that took the request. It knows the end of its path; what routers put before has no parameters."""
    own = getattr(scope.get("route"), "path", None)
    if own is None:
        return None
    end, given = str(own).split("/")[1:], scope["path"].split("/")
    return "/".join([*given[: len(given) - len(end)], *end])
