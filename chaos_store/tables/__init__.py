"""All tables, by topic."""

from .audit import AuditEvent
from .base import Base, new_id
from .blobs import Blob, BlobChunk
from .datasets import AnalysisRow, Dataset
from .idempotency import IdempotencyKey
from .jobs import Checkpoint, Job, JobEvent, Lease, Metric
from .models import Artifact, TrainedModel, Trajectory
from .projects import ApiKey, Project, ProjectUse
from .webhooks import Attempt, Delivery, Webhook

__all__ = [
    "AnalysisRow",
    "ApiKey",
    "Artifact",
    "Attempt",
    "AuditEvent",
    "Base",
    "Blob",
    "BlobChunk",
    "Checkpoint",
    "Dataset",
    "Delivery",
    "IdempotencyKey",
    "Job",
    "JobEvent",
    "Lease",
    "Metric",
    "Project",
    "ProjectUse",
    "TrainedModel",
    "Trajectory",
    "Webhook",
    "new_id",
]
