"""What a key may do. None of them contains another."""

from enum import StrEnum

__all__ = ["ALL", "ORDINARY", "Scope"]


class Scope(StrEnum):
    """`read` what the project has, `write` to change it, `admin` for keys, webhooks, project and audit log.

    `operator` is for whoever runs the service: projects and their quotas.
    """

    read = "read"
    write = "write"
    admin = "admin"
    operator = "operator"


ORDINARY = (Scope.read, Scope.write, Scope.admin)
ALL = tuple(Scope)
