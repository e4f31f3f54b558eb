"""Files that come in parts."""

from sqlalchemy import BigInteger, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from ..engine import now
from .base import Base, Json, new_id


class Upload(Base):
    """A file on its way; its parts are chunks of `content`, which becomes a blob at the end. `dataset_id` is then what
    it has become."""

    __tablename__ = "upload"
    __table_args__ = (Index(None, "project_id", "created_at", "id"),)

    id: Mapped[str] = mapped_column(primary_key=True, default=lambda: new_id("up"))
    project_id: Mapped[str] = mapped_column(ForeignKey("project.id"))
    status: Mapped[str] = mapped_column(default="open")
    name: Mapped[str]
    filename: Mapped[str]
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    part_bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str | None]
    options: Mapped[Json] = mapped_column(default=dict)
    split: Mapped[Json | None]
    content: Mapped[str] = mapped_column(unique=True, default=lambda: new_id("blob"))
    dataset_id: Mapped[str | None]
    expires_at: Mapped[float] = mapped_column(index=True)
    created_at: Mapped[float] = mapped_column(default=now())


class UploadPart(Base):
    """A part that has arrived whole."""

    __tablename__ = "upload_part"

    upload_id: Mapped[str] = mapped_column(ForeignKey("upload.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    size: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str]
    created_at: Mapped[float] = mapped_column(default=now())
