"""All tables, by topic."""

from .base import Base, new_id
from .blobs import Blob, BlobChunk
from .datasets import AnalysisRow, Dataset
from .evaluations import Evaluation
from .jobs import Checkpoint, Job, JobEvent, Lease, Metric
from .models import Artifact, TrainedModel, Trajectory
from .projects import ApiKey, Project

__all__ = [
    "AnalysisRow",
    "ApiKey",
    "Artifact",
    "Base",
    "Blob",
    "BlobChunk",
    "Checkpoint",
    "Dataset",
    "Evaluation",
    "Job",
    "JobEvent",
    "Lease",
    "Metric",
    "Project",
    "TrainedModel",
    "Trajectory",
    "new_id",
]
