"""Who does the work."""

from sqlalchemy.orm import Mapped, mapped_column

from ..engine import now
from .base import Base, Json


class Worker(Base):
    """A worker process, as it said of itself; `seen_at` is its last sign of life."""

    __tablename__ = "worker"

    name: Mapped[str] = mapped_column(primary_key=True)
    host: Mapped[str]
    pid: Mapped[int]
    kinds: Mapped[str]
    training_slots: Mapped[int]
    light_slots: Mapped[int]
    machine: Mapped[Json]
    versions: Mapped[Json]
    started_at: Mapped[float] = mapped_column(default=now())
    seen_at: Mapped[float] = mapped_column(default=now())
