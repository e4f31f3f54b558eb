from pydantic import ConfigDict, Field, JsonValue

from chaos_core.spec import BaselineSpec

from .jobs import LabelName
from .resource import Body, Text

EXAMPLES: list[JsonValue] = [
    {"dataset_id": "ds_019a0c5e0f7b7d0e8a4f7a1f5b1c2d3e", "spec": {"baseline": {"kind": "ngrc"}}},
]


class BaselineCreate(Body):
    model_config = ConfigDict(json_schema_extra={"examples": EXAMPLES})

    dataset_id: Text
    spec: BaselineSpec = Field(description="which baseline, and how its free run is judged")
    labels: dict[LabelName, Text] = Field({}, max_length=32)
