"""One class of settings, read from the environment with the prefix CHAOS_ and from files of secrets."""

import os
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote, urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    StringConstraints,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
)

from chaos_core.readers.limits import Limits as ReaderLimits

__all__ = ["Settings", "readme_table"]

MIB = 1024 * 1024
READER = ReaderLimits()
SECRETS_DIR = "/run/secrets"
Rate = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{0,8}/(second|minute|hour|day)$")]
Folder = Annotated[Path, AfterValidator(lambda path: path.expanduser().absolute())]


def _split(given: Any) -> Any:
    return [part.strip() for part in given.split(",") if part.strip()] if isinstance(given, str) else given


Listed = BeforeValidator(_split)


def _embedded_database(values: dict[str, Any]) -> str:
    return f"sqlite:///{values['data_dir'] / 'chaos.db'}"


def _embedded_broker(values: dict[str, Any]) -> str:
    return f"redis+socket://{values['data_dir'] / 'run' / 'broker.sock'}"


def _with_password(url: str, password: SecretStr | None) -> str:
    parts = urlsplit(url)
    if password is None or parts.password is not None or parts.scheme.startswith("sqlite"):
        return url
    user, _, host = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{user}:{quote(password.get_secret_value(), safe='')}@{host}").geturl()


class Settings(BaseSettings):
    """Laptop defaults; each field is the environment variable CHAOS_<NAME>, or the file chaos_<name> of secrets."""

    model_config = SettingsConfigDict(env_prefix="CHAOS_", frozen=True, extra="ignore", hide_input_in_errors=True)

    data_dir: Folder = Field(Path("data"), validate_default=True, description="folder of database, broker and scratch")
    database_password: SecretStr | None = Field(None, description="put into a database URL that has none")
    database_url: str = Field(
        default_factory=_embedded_database, description="sqlite:///path or postgresql://user:password@host/name"
    )
    broker_password: SecretStr | None = Field(None, description="put into a broker URL that has none")
    broker_url: str = Field(default_factory=_embedded_broker, description="redis://host/0 or redis+socket:///path")
    host: str = Field("127.0.0.1", description="address the API listens on")
    port: int = Field(8000, ge=0, le=65535, description="port of the API; 0 takes any free one")

    lease_s: PositiveFloat = Field(6.0, description="a worker silent for so long has lost its job")
    heartbeat_s: PositiveFloat = Field(2.0, description="a worker renews its lease this often")
    reap_s: PositiveFloat = Field(2.0, description="lost and unclaimed jobs are looked for this often")
    poll_s: PositiveFloat = Field(5.0, description="a worker asks the database for a job this often")
    rewake_s: PositiveFloat = Field(5.0, description="a queued job is announced again after so long")
    worker_slots: PositiveInt = Field(1, description="training jobs one worker runs at a time")
    worker_kinds: Literal["all", "train", "light"] = Field(
        "all",
        description="what a worker takes: light jobs (analyses, baselines, reading of uploads), trainings, or all",
    )
    max_attempts: PositiveInt = Field(5, description="attempts in a row without a new checkpoint before a job fails")
    checkpoint_s: PositiveFloat = Field(30.0, description="a running job is saved this often")
    keep_checkpoints: PositiveInt = Field(2, description="newest checkpoints kept of a job, beside the best")
    cancel_grace_s: PositiveFloat = Field(3.0, description="time between asking a runner to stop and killing it")

    job_wall_s: PositiveFloat | None = Field(None, description="longest run of one job; empty: no limit")
    job_memory_bytes: PositiveInt | None = Field(None, description="memory of one job; empty: 3/4 of the machine's")
    job_stall_s: PositiveFloat = Field(600.0, description="a job without progress for so long is ended")
    job_disk_bytes: PositiveInt = Field(4096 * MIB, description="scratch files of one job")
    max_queued_jobs: PositiveInt = Field(10_000, description="most jobs that wait; more are refused")
    max_blob_bytes: PositiveInt | None = Field(None, description="most stored bytes; empty: what the disk holds")
    gc_s: PositiveFloat = Field(600.0, description="unused bytes and expired jobs are looked for this often")
    gc_grace_s: PositiveFloat = Field(3600.0, description="unused bytes younger than this are left alone")

    inline_upload_bytes: PositiveInt = Field(64 * MIB, description="uploads up to this size are parsed at once")
    max_upload_bytes: PositiveInt = Field(1024 * MIB, description="largest upload accepted")
    part_bytes: PositiveInt = Field(16 * MIB, description="size of the parts of an upload where the client names none")
    upload_expiry_s: PositiveFloat = Field(
        86_400.0, description="an upload to which no part came for so long is given up"
    )
    parse_memory_bytes: PositiveInt = Field(3072 * MIB, description="memory one parser may use")
    parse_cpu_s: PositiveInt = Field(60, description="processor time one parser may use")
    max_rows: PositiveInt = Field(READER.max_rows, description="most rows of a dataset")
    max_columns: PositiveInt = Field(READER.max_columns, description="most channels of a dataset")
    max_expanded_bytes: PositiveInt = Field(
        READER.max_expanded_bytes, description="most bytes that a compressed file may become"
    )
    max_expansion_ratio: PositiveInt = Field(
        READER.max_expansion_ratio, description="most times a file may grow when it is unpacked"
    )
    max_file_members: PositiveInt = Field(READER.max_file_members, description="most arrays, groups or parts of a file")
    max_nesting_depth: PositiveInt = Field(
        READER.max_nesting_depth, description="most levels of lists or groups in a file"
    )
    max_file_header_bytes: PositiveInt = Field(READER.max_file_header_bytes, description="longest header of a file")
    max_wait_s: PositiveFloat = Field(30.0, description="longest ?wait= of a request")
    idempotency_keep_s: PositiveFloat = Field(86_400.0, description="an Idempotency-Key is kept so long")
    idempotency_wait_s: PositiveFloat = Field(30.0, description="a repeat waits so long for the first request")
    idempotency_lock_s: PositiveFloat = Field(10.0, description="a request that died frees its key after so long")

    rate_limit: Rate | None = Field(None, description="requests of one key, as `600/minute`; empty: no limit")
    project_rate_limit: Rate | None = Field(None, description="requests of all keys of a project; empty: no limit")
    rate_limit_storage: Literal["memory", "broker"] = Field(
        "memory", description="where requests are counted: in each API process, or in the broker for all of them"
    )
    cors_origins: str | None = Field(
        None, description="origins whose pages may call the API, separated by commas; empty: none"
    )
    trusted_proxies: str | None = Field(
        None, description="addresses or networks whose X-Forwarded headers are believed, separated by commas"
    )
    audit_days: PositiveFloat = Field(90.0, description="the audit log is kept for so long")

    max_webhooks: PositiveInt = Field(20, description="most webhooks of a project")
    webhook_sender: bool = Field(
        True, description="whether workers send webhooks too, or only `python -m worker.sending`"
    )
    webhook_timeout_s: PositiveFloat = Field(15.0, description="longest time a receiver may take to answer")
    webhook_retries_s: Annotated[tuple[NonNegativeFloat, ...], NoDecode, Listed] = Field(
        "5,300,1800,7200,18000,36000,50400,72000,86400",
        validate_default=True,
        description="pauses before each further try of a delivery",
    )
    webhook_give_up_s: PositiveFloat = Field(
        432_000.0, description="a webhook that nothing has reached for so long is disabled"
    )
    webhook_keep_s: PositiveFloat = Field(2_592_000.0, description="finished deliveries are kept for so long")
    webhook_poll_s: PositiveFloat = Field(0.25, description="due deliveries are looked for this often")
    webhook_parallel: PositiveInt = Field(8, description="requests to receivers that one process has open at a time")
    webhook_parallel_each: PositiveInt = Field(2, description="of these, most to one webhook")
    webhook_secret_grace_s: NonNegativeFloat = Field(
        86_400.0, description="a secret that was replaced signs beside the new one for so long"
    )
    webhook_allow_http: bool = Field(False, description="whether a webhook may have a URL with http://")
    webhook_allowed_networks: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode, Listed] = Field(
        "",
        validate_default=True,
        description="networks that webhooks may reach though they are not public, e.g. 10.1.0.0/16,fd00:7::/64",
    )
    webhook_ca_file: Path | None = Field(None, description="further authorities trusted for receivers, as PEM")

    log_format: Literal["json", "text"] = Field("json", description="a line of JSON for each event, or text to read")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="least level that is logged")
    job_log_lines: PositiveInt = Field(5000, description="newest lines kept in the log of one job")
    job_log_bytes: PositiveInt = Field(MIB, description="bytes kept in the log of one job")
    metrics_token: SecretStr | None = Field(
        None, description="`GET /metrics` wants it as bearer token; empty: only this machine may ask"
    )
    metrics_s: PositiveFloat = Field(10.0, description="metrics read from the database are at most this old")

    def reader_limits(self) -> dict[str, int]:
        """What one reading process may use, in the words of its request."""
        bounds = {name: getattr(self, name) for name in ReaderLimits.model_fields}
        return bounds | {"memory_bytes": self.parse_memory_bytes, "cpu_s": self.parse_cpu_s}

    @field_validator("database_url", "broker_url")
    @classmethod
    def _complete(cls, url: str, info: ValidationInfo) -> str:
        return _with_password(url, info.data.get(str(info.field_name).replace("_url", "_password")))

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        del dotenv_settings, file_secret_settings
        folder = Path(os.environ.get("CHAOS_SECRETS_DIR", SECRETS_DIR))
        secrets = (SecretsSettingsSource(settings_cls, folder),) if folder.is_dir() else ()
        return (init_settings, env_settings, *secrets)


def readme_table() -> str:
    rows = [
        f"| `CHAOS_{name.upper()}` | {'in the data folder' if field.default_factory else field.default} "
        f"| {field.description} |\n"
        for name, field in Settings.model_fields.items()
    ]
    return "| variable | default | meaning |\n|---|---|---|\n" + "".join(rows)
