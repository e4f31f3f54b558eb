"""Bytes, in chunks."""

from sqlalchemy import BigInteger, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from ..engine import now
from .base import Base


class Blob(Base):
    """Complete bytes. Chunks of a `content` without a row here are an upload under way, or one broken off."""

    __tablename__ = "blob"

    sha256: Mapped[str] = mapped_column(primary_key=True)
    content: Mapped[str] = mapped_column(unique=True)
    size: Mapped[int] = mapped_column(BigInteger)
    chunk_size: Mapped[int]
    created_at: Mapped[float] = mapped_column(default=now())


class BlobChunk(Base):
    __tablename__ = "blob_chunk"

    content: Mapped[str] = mapped_column(primary_key=True)
    idx: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    data: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[float | None] = mapped_column(default=now())
