"""Systems whose dynamics are known: data for demonstrations, truth for tests, datasets on request.

`SYSTEMS` holds the final classes found in this folder's files; to add one, add a file.
"""

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from pydantic import Field, ValidationError

from chaos_core.errors import Inconsistent, UnknownKind
from chaos_core.registry import find
from chaos_core.systems.base import System
from chaos_core.systems.flows import integrate, lorenz63, rossler
from chaos_core.systems.maps import henon, ikeda, logistic
from chaos_core.systems.processes import ar1, ar2, sine, two_torus, white_noise
from chaos_core.systems.recording import as_csv, record, with_noise
from chaos_core.systems.surrogates import Surrogate, surrogate

__all__ = [
    "SYSTEMS",
    "AnySystem",
    "System",
    "ar1",
    "ar2",
    "as_csv",
    "henon",
    "ikeda",
    "integrate",
    "logistic",
    "lorenz63",
    "record",
    "rossler",
    "sine",
    "surrogate",
    "system",
    "table",
    "two_torus",
    "white_noise",
    "with_noise",
]

SYSTEMS: dict[str, type[System]] = find(__name__, __path__, System)

if TYPE_CHECKING:
    AnySystem: TypeAlias = System
else:
    _SOURCES = [kind for kind in SYSTEMS.values() if kind is not Surrogate]
    Surrogate.model_rebuild(
        _types_namespace={"AnySource": Annotated[reduce(or_, _SOURCES), Field(discriminator="kind")]}
    )
    AnySystem = Annotated[reduce(or_, SYSTEMS.values()), Field(discriminator="kind")]


def system(kind: str, **settings: Any) -> System:
    """The system of that kind, with some of its settings changed.

    Args:
        kind: one of `SYSTEMS`.
        settings: fields of that class; the others keep their defaults.

    Returns:
        The settings, ready to `generate`.

    Raises:
        UnknownKind: with `known`.
        Inconsistent: a setting that it does not have or cannot have, with `errors`, one for each.
    """
    if kind not in SYSTEMS:
        raise UnknownKind(f"there is no system '{kind}'; known: {', '.join(SYSTEMS)}", known=list(SYSTEMS))
    try:
        return SYSTEMS[kind](**settings)
    except ValidationError as error:
        found = [
            {"loc": [str(part) for part in item["loc"]], "msg": item["msg"]} for item in error.errors(include_url=False)
        ]
        told = "; ".join(f"{'.'.join(item['loc'])}: {item['msg']}" for item in found)
        raise Inconsistent(f"'{kind}' cannot have these settings: {told}", errors=found) from error


def table() -> str:
    """All systems as a Markdown table, from their classes."""
    head = "| kind | equation | defaults | nature | lambda_max | its source |\n|---|---|---|---|---|---|\n"
    return head + "".join(_line(kind, settings()) for kind, settings in SYSTEMS.items())


def _line(kind: str, one: System) -> str:
    defaults = ", ".join(f"{name}={_word(value)}" for name, value in one if name != "kind")
    exponent = "none" if one.lambda_max is None else f"{one.lambda_max:.4g}"
    if one.spectrum is not None and len(one.spectrum) > 1:
        exponent += f" ({', '.join(f'{value:.5g}' for value in one.spectrum)})"
    equation = one.equation.replace("|", "\\|")
    return f"| `{kind}` | {equation} | {defaults} | {one.nature} | {exponent} | {one.lambda_source} |\n"


def _word(value: object) -> str:
    if isinstance(value, System):
        return str(type(value).model_fields["kind"].default)
    return f"{value:.6g}" if isinstance(value, float) else str(value).lower()
