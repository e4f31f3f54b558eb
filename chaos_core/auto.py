"""From concrete settings to what a client may write: each field may also be the word "auto"."""

from typing import Any, Literal, get_origin

from pydantic import BaseModel, ConfigDict, Field, create_model

__all__ = ["auto_variant", "chosen"]


def auto_variant(settings: type[BaseModel]) -> type[BaseModel]:
    """Builds the class whose fields are those of `settings`, each one also accepting "auto", which is the default.

    Fields that are a Literal (the `kind` of a cell or a forcing) stay as they are: they name the class itself.
    Limits and descriptions of each field are kept, and unknown fields are refused, so that a misspelt setting is an
    error and not silently "auto".

    Args:
        settings: a class of frozen settings, say `PLRNN`.

    Returns:
        A frozen class named after it with `Spec` appended, say `PLRNNSpec`.
    """
    fields: dict[str, Any] = {}
    for name, field in settings.model_fields.items():
        written = field.rebuild_annotation()
        if get_origin(field.annotation) is Literal:
            fields[name] = (written, field.default)
        else:
            fields[name] = (written | Literal["auto"], Field("auto", description=field.description))
    return create_model(
        f"{settings.__name__}Spec",
        __config__=ConfigDict(extra="forbid", frozen=True),
        __doc__=settings.__doc__,
        **fields,
    )


def chosen(partial: dict[str, Any]) -> dict[str, Any]:
    """The settings that the client did choose: `partial` without the entries that say "auto"."""
    return {name: value for name, value in partial.items() if value != "auto"}
