from pydantic import BaseModel, Field

from .resource import Json


class Limits(BaseModel):
    object: str = "limits"
    inline_upload_bytes: int
    max_upload_bytes: int
    part_bytes: int = Field(description="size of the parts of an upload where none is named")
    max_part_bytes: int
    max_parts: int
    upload_expiry_s: float = Field(description="an upload to which no part came for so long is given up")
    max_json_bytes: int
    parse_memory_bytes: int
    parse_cpu_s: int
    max_rows: int
    max_columns: int
    max_expanded_bytes: int = Field(description="most bytes that a compressed file may become")
    max_expansion_ratio: int = Field(description="most times a file of more than 64 MiB may grow when it is unpacked")
    max_file_members: int = Field(description="most arrays, groups or parts of a file")
    max_nesting_depth: int = Field(description="most levels of lists or groups in a file")
    max_file_header_bytes: int = Field(description="longest header of a file")
    max_wait_s: float
    idempotency_keep_s: float = Field(description="an Idempotency-Key and its answer are kept so long")
    max_page: int
    max_run_steps: int = Field(description="steps of POST /v1/models/{id}/trajectories")
    max_run_numbers: int = Field(description="runs * steps * (channels + latent state) of the same")
    max_run_work: int = Field(description="runs * steps * parameters of the same, and steps * parameters of a forecast")
    max_forecast_steps: int = Field(description="`horizon` of POST /v1/models/{id}/forecast")
    max_diagnosis_work: int = Field(description="latent state^3 * (runs * steps + ...) of a diagnosis")
    max_queued_jobs: int = Field(description="jobs that wait; more are refused with `queue_full`")
    max_blob_bytes: int | None = Field(description="stored bytes; null: what the disk holds")
    rate_limit: str | None = Field(description="requests of one key, as `600/minute`; null: no limit")
    project_rate_limit: str | None = Field(description="requests of all keys of a project; null: no limit")
    job_wall_s: float | None = Field(description="longest run of one job; null: no limit")
    job_memory_bytes: int | None = Field(description="memory of one job; null: 3/4 of the worker's machine")
    job_stall_s: float = Field(description="a job without progress for so long is ended")
    job_disk_bytes: int = Field(description="scratch files of one job")
    max_attempts: int = Field(description="attempts in a row without a new checkpoint before a job fails")
    checkpoint_s: float = Field(description="a running job is saved this often")
    max_webhooks: int = Field(description="webhooks of a project")
    webhook_timeout_s: float = Field(description="longest time a receiver may take to answer")
    webhook_secret_grace_s: float = Field(description="a replaced secret signs too for so long")
    webhook_keep_s: float = Field(description="finished deliveries are kept for so long")
    keep_checkpoints: int = Field(description="newest checkpoints kept of a job, beside the best")


class KindOut(BaseModel):
    kind: str
    summary: str
    equation: str | None
    citation: str | None
    settings_schema: Json


class ModelTypes(BaseModel):
    object: str = "model_types"
    cells: list[KindOut]
    forcings: list[KindOut]
    observations: list[KindOut]
    losses: list[KindOut]
    baselines: list[KindOut]


class Live(BaseModel):
    status: str = "ok"


class Ready(BaseModel):
    status: str
    checks: dict[str, str] = Field(examples=[{"database": "ok", "migrations": "ok", "broker": "ok"}])
    workers: int | None = Field(description="alive; null where the database does not say")
