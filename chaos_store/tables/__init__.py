"""All tables, by topic."""

from .audit import AuditEvent
from .base import Base, new_id
from .blobs import Blob, BlobChunk
from .datasets import AnalysisRow, Dataset
from .evaluations import Evaluation
from .idempotency import IdempotencyKey
from .jobs import Checkpoint, Job, JobEvent, JobLog, Lease, Metric
from .models import Artifact, TrainedModel, Trajectory
from .projects import ApiKey, Project, ProjectUse
from .uploads import Upload, UploadPart
from .webhooks import Attempt, Delivery, Webhook
from .workers import Worker

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
    "Evaluation",
    "IdempotencyKey",
    "Job",
    "JobEvent",
    "JobLog",
    "Lease",
    "Metric",
    "Project",
    "ProjectUse",
    "TrainedModel",
    "Trajectory",
    "Upload",
    "UploadPart",
    "Webhook",
    "Worker",
    "new_id",
]
