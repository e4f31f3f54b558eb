"""One class of settings, read from the environment with the prefix CHAOS_ and from files of secrets."""

import os
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote, urlsplit

from pydantic import AfterValidator, Field, PositiveFloat, PositiveInt, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SecretsSettingsSource, SettingsConfigDict

from chaos_core.readers.limits import Limits as ReaderLimits

__all__ = ["Settings", "readme_table"]

MIB = 1024 * 1024
READER = ReaderLimits()
SECRETS_DIR = "/run/secrets"
Folder = Annotated[Path, AfterValidator(lambda path: path.expanduser().absolute())]


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

    model_config = SettingsConfigDict(env_prefix="CHAOS_", frozen=True, extra="ignore")

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
    parse_memory_bytes: PositiveInt = Field(2048 * MIB, description="memory one parser may use")
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
