"""What a client may say about an analysis beforehand, instead of leaving it to the data."""

import hashlib
import json
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from chaos_core.embedding import Embedding

__all__ = ["ANALYSIS_VERSION", "AUTOMATIC", "AnalysisOptions"]

ANALYSIS_VERSION = 2
"""Raise it whenever the same series and options can give other numbers: stored analyses of another version are not
used again."""

Auto: TypeAlias = Literal["auto"]
Neighbours: TypeAlias = Annotated[int, Field(ge=1, le=50)]
Period: TypeAlias = Annotated[float, Field(ge=2, allow_inf_nan=False)]


class AnalysisOptions(BaseModel):
    """How to analyse a series; `{}` leaves everything to the data. Steps are rows of the series.

    Args:
        embedding: delay embedding of the channels; dim 1: the channels are the state.
        dynamics: whether successive rows follow a continuous motion ("flow") or are iterates ("map"). Rows of a map
            are neither thinned nor filtered.
        denoise: "off" neither measures observation noise nor takes it away.
        period_steps: rows per swing, at least 2: the clock by which a flow is thinned and followed.
        theiler_steps: rows around a point that are its own past and future, at least 1.
        neighbours: how many neighbours of a state the divergence curve follows: 1 is Rosenstein's, more is Kantz's.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={"examples": [{}, {"embedding": {"dim": 3, "lag": 8}, "dynamics": "flow"}]},
    )

    embedding: Embedding | Auto = Field(
        "auto",
        description="delayed copies of the channels that make up the state; dim 1: the channels are the state. auto: "
        "three and more channels are, fewer are embedded as false neighbours and mutual information say. A lag is "
        "rounded to the rows that remain where a finely sampled flow is thinned",
    )
    dynamics: Literal["auto", "flow", "map"] = Field(
        "auto",
        description="whether successive rows follow a continuous motion (flow) or are iterates (map), which are "
        "neither thinned nor filtered; auto: a flow where a period has 6 rows or more",
    )
    denoise: Literal["auto", "off"] = Field(
        "auto",
        description="auto: observation noise is measured, and taken away where there is some; off: rows are taken as "
        "they are, and the result says noise 0",
    )
    period_steps: Period | Auto = Field(
        "auto", description="rows per swing, at most half of the longest complete run; auto: from the power spectrum"
    )
    theiler_steps: PositiveInt | Auto = Field(
        "auto",
        description="rows around a point that are not its neighbours but its own past and future, at most half of the "
        "longest complete run; auto: one period",
    )
    neighbours: Neighbours | Auto = Field(
        "auto",
        description="how many neighbours of a state the divergence curve follows, 1 to 50: one as Rosenstein, several "
        "averaged before the logarithm as Kantz; auto: one, which is nearest and has most room to grow",
    )

    def asked(self) -> dict[str, Any]:
        """What differs from `auto`, as JSON; `{}` where nothing does."""
        return {name: value for name, value in self.model_dump(mode="json").items() if value != "auto"}

    def digest(self) -> str:
        """sha256 of `asked()`: equal options have equal digests, also once there are more options with defaults."""
        return hashlib.sha256(json.dumps(self.asked(), sort_keys=True).encode()).hexdigest()


AUTOMATIC = AnalysisOptions()
"""Everything is left to the data."""
