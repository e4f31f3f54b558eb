"""All tables, by topic."""

from .base import Base, new_id
from .blobs import Blob, BlobChunk
from .datasets import AnalysisRow, Dataset
from .jobs import Checkpoint, Job, JobEvent, JobLog, Lease, Metric
from .models import Artifact, TrainedModel, Trajectory
from .projects import ApiKey, Project
from .workers import Worker

__all__ = [
    "AnalysisRow",
    "ApiKey",
    "Artifact",
    "Base",
    "Blob",
    "BlobChunk",
    "Checkpoint",
    "Dataset",
    "Job",
    "JobEvent",
    "JobLog",
    "Lease",
    "Metric",
    "Project",
    "TrainedModel",
    "Trajectory",
    "Worker",
    "new_id",
]
