"""All tables, by topic."""

from .base import Base, new_id
from .blobs import Blob, BlobChunk
from .datasets import AnalysisRow, Dataset
from .jobs import Checkpoint, Job, JobEvent, Lease, Metric
from .models import Artifact, TrainedModel, Trajectory
from .projects import ApiKey, Project
from .uploads import Upload, UploadPart

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
    "Lease",
    "Metric",
    "Project",
    "TrainedModel",
    "Trajectory",
    "Upload",
    "UploadPart",
    "new_id",
]
