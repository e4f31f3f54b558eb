"""What can go wrong with stored things.

StoreError
├── NotFound         no such thing in this project
├── BadCursor        a page cursor that this service did not make
├── TooManyLabels    a job cannot carry so many
├── TooManyWebhooks  a project cannot have so many
├── WebhookUrlRefused  webhooks are not sent to such a URL
├── WrongState       the thing is not in a state that allows it
│   ├── NotCancellable, NotClonable, NotPausable, NotResumable, NotRetryable, NotDeletable
│   ├── PlanFrozen, DatasetNotReady, DatasetInUse, DatasetHasContent, WebhookDisabled
│   └── UploadClosed, UploadIncomplete, PartConflict
├── UploadCancelled  the job that should have read the upload was cancelled
├── LeaseLost        another worker has, or may have, the job
├── WorkerLost       no worker finished the job in the attempts allowed
├── BlobCorrupt      the stored bytes are not what was stored
├── QueueFull        more jobs wait than the service takes
├── StorageFull      the service has no room for more bytes
├── QuotaExceeded    the project has used what it may
│   └── QuotaBytes, QuotaJobs, QuotaCoreHours
├── ScopeMissing     the key may not do this
├── KeyOutlives      a key may not make another that lives longer
├── LastAdminKey     nobody could look after the project any more
├── IdempotencyKeyReused, IdempotencyInProgress, IdempotencyAnswerLost  a request that came before
└── BackupRefused    a file that is no backup, or a database that is not empty
"""

from chaos_core.errors import ChaosError

__all__ = [
    "BackupRefused",
    "BadCursor",
    "BlobCorrupt",
    "DatasetHasContent",
    "DatasetInUse",
    "DatasetNotReady",
    "IdempotencyAnswerLost",
    "IdempotencyInProgress",
    "IdempotencyKeyReused",
    "KeyOutlives",
    "LastAdminKey",
    "LeaseLost",
    "NotCancellable",
    "NotClonable",
    "NotDeletable",
    "NotFound",
    "NotPausable",
    "NotResumable",
    "NotRetryable",
    "PartConflict",
    "PlanFrozen",
    "QueueFull",
    "QuotaBytes",
    "QuotaCoreHours",
    "QuotaExceeded",
    "QuotaJobs",
    "ScopeMissing",
    "StorageFull",
    "StoreError",
    "TooManyLabels",
    "TooManyWebhooks",
    "UploadCancelled",
    "UploadClosed",
    "UploadIncomplete",
    "WebhookDisabled",
    "WebhookUrlRefused",
    "WorkerLost",
    "WrongState",
]


class StoreError(ChaosError):
    """A stored thing could not be read or changed."""

    code = "store_error"
    title = "The stored thing cannot be used"
    remedy = "Try again; if it stays, report it with the request id."


class NotFound(StoreError):
    """No such thing in this project; fields `kind`, `id`."""

    code = "not_found"
    title = "There is no such thing"
    remedy = "Check the id; ids of other projects are not visible."


class BadCursor(StoreError):
    """A page cursor that this service did not make."""

    code = "bad_cursor"
    title = "The cursor cannot be read"
    remedy = "Pass `next_cursor` of the page before, unchanged, or leave the cursor out."


class TooManyLabels(StoreError):
    """A job cannot carry so many labels; fields `value`, `limit`."""

    code = "too_many_labels"
    title = "The job has too many labels"
    remedy = "Take labels away first: send null as their value."


class TooManyWebhooks(StoreError):
    """A project cannot have so many webhooks; fields `value`, `limit`."""

    code = "too_many_webhooks"
    title = "The project has too many webhooks"
    remedy = "Delete a webhook that is no longer needed; one webhook may take several types of events."


class WebhookUrlRefused(StoreError):
    """Webhooks are not sent to such a URL."""

    code = "webhook_url_refused"
    title = "The URL cannot be used for a webhook"
    remedy = "Give an https URL of a public host, without user name, password or fragment."


class WrongState(StoreError):
    """The thing is not in a state that allows it; fields `status`, `event`."""

    code = "wrong_state"
    title = "The state does not allow this"
    remedy = "Read the resource again and look at its status."


class NotCancellable(WrongState):
    """A finished job cannot be cancelled; field `status`."""

    code = "job_not_cancellable"
    title = "The job has already finished"
    remedy = "Nothing is left to cancel."


class NotClonable(WrongState):
    """Only trainings can be cloned; field `job_kind`."""

    code = "job_not_clonable"
    title = "The job cannot be cloned"
    remedy = "Clone a job of kind `train`; ask for analyses and baselines anew."


class NotPausable(WrongState):
    """Only a queued or running job can be paused; field `status`."""

    code = "job_not_pausable"
    title = "The job cannot be paused"
    remedy = "Pause a job while its status is `queued` or `running`."


class NotResumable(WrongState):
    """Only a paused job can be resumed; field `status`."""

    code = "job_not_resumable"
    title = "The job is not paused"
    remedy = "Resume a job while its status is `paused`; one that is `pausing` will be so within seconds."


class NotRetryable(WrongState):
    """Only a failed or cancelled job can be retried; field `status`."""

    code = "job_not_retryable"
    title = "The job cannot be retried"
    remedy = "Retry a job that has failed or was cancelled; post a new job to train again."


class NotDeletable(WrongState):
    """A job that is under way cannot be deleted; field `status`."""

    code = "job_not_deletable"
    title = "The job is not finished"
    remedy = "Cancel the job, wait for its end, then delete it."


class DatasetInUse(WrongState):
    """Jobs were made with the dataset; fields `dataset_id`, `jobs`, `unfinished`."""

    code = "dataset_in_use"
    title = "Jobs use the dataset"
    remedy = "Delete its jobs first, or pass cascade=true to delete them with it once all of them are finished."


class ProjectInUse(WrongState):
    """The project holds something, or is that of the key; fields `project_id`, `datasets`, `jobs`, `unfinished`."""

    code = "project_in_use"
    title = "The project is in use"
    remedy = "Pass cascade=true to remove all that it holds, once no job is under way, with a key of another project."


class DatasetHasContent(WrongState):
    """The bytes of a dataset are sent once; fields `dataset_id`, `status`."""

    code = "dataset_has_content"
    title = "The dataset has its content already"
    remedy = "Post a new dataset for other bytes."


class UploadClosed(WrongState):
    """The parts have become a dataset; field `status`."""

    code = "upload_closed"
    title = "The upload is complete"
    remedy = "Read the upload: `dataset_id` is what it has become. Post a new upload for other bytes."


class UploadIncomplete(WrongState):
    """Parts have not arrived; fields `missing`, the numbers of the first of them, and `count`."""

    code = "upload_incomplete"
    title = "Parts of the upload are missing"
    remedy = "Send the parts listed in `missing`, then complete the upload."


class PartConflict(WrongState):
    """The part has arrived with other bytes; fields `number`, `sha256`."""

    code = "part_conflict"
    title = "The part has come with other bytes"
    remedy = "Send the bytes of before, or delete the upload and begin a new one."


class PlanFrozen(WrongState):
    """A job's plan is written once; field `plan_hash`."""

    code = "plan_frozen"
    title = "The job has another plan already"
    remedy = "Post a new job for another plan."


class DatasetNotReady(WrongState):
    """Its bytes have not come, are still being read, or could not be; fields `dataset_id`, `status`."""

    code = "dataset_not_ready"
    title = "The dataset is not ready"
    remedy = "Wait until its status is `ready`; if `empty`, PUT its content; if `failed`, send a corrected file."


class WebhookDisabled(WrongState):
    """Nothing is sent to a webhook that is disabled; field `reason`."""

    code = "webhook_disabled"
    title = "The webhook is disabled"
    remedy = 'Enable it first: PATCH it with {"enabled": true}.'


class UploadCancelled(StoreError):
    """The job that should have read the upload was cancelled."""

    code = "upload_cancelled"
    title = "Reading the upload was cancelled"
    remedy = "Send the file again."


class LeaseLost(StoreError):
    """Another worker has, or may have, the job; fields `job_id`, `fence`."""

    code = "lease_lost"
    title = "The worker no longer owns the job"
    remedy = "Stop the work: another worker takes the job over."


class WorkerLost(StoreError):
    """No worker finished the job in the attempts allowed; field `attempts`."""

    code = "worker_lost"
    title = "The workers running the job were lost"
    remedy = "Retry the job; if it is lost again, it may need more memory than the machine has."


class BlobCorrupt(StoreError):
    """The stored bytes are not what was stored; field `sha256`."""

    code = "blob_corrupt"
    title = "The stored bytes are damaged"
    remedy = "Send the file or run the job again: the same bytes heal them; else restore the database from a backup."


class QueueFull(StoreError):
    """More jobs wait than the service takes; fields `value`, `limit`."""

    code = "queue_full"
    title = "Too many jobs are waiting"
    remedy = "Post the job again later: Retry-After says when."


class StorageFull(StoreError):
    """The service has no room for more bytes; fields `value`, `limit` where a limit was crossed."""

    code = "storage_full"
    title = "The service has no room left"
    remedy = "Delete datasets and jobs that are no longer needed, or give the service more room, and try again."


class QuotaExceeded(StoreError):
    """The project has used what it may; fields `used`, `limit`."""

    code = "quota_exceeded"
    title = "The project has used up its quota"
    remedy = "GET /v1/usage shows what is used; whoever runs the service can raise the quota."


class QuotaBytes(QuotaExceeded):
    """The project would hold more bytes than it may; fields `used`, with what was asked for, and `limit`."""

    code = "quota_bytes"
    title = "The project may not store more bytes"
    remedy = "Delete datasets, jobs or models (GET /v1/usage shows what takes the room), or ask for a higher quota."


class QuotaJobs(QuotaExceeded):
    """As many of the project's jobs wait and run as may; fields `used`, `limit`."""

    code = "quota_jobs"
    title = "The project may not have more jobs at a time"
    remedy = "Wait until one of its jobs has ended, or cancel one; Retry-After says when to try again."


class QuotaCoreHours(QuotaExceeded):
    """The project's jobs ran as long as they may in 30 days; fields `used`, `limit`, in hours."""

    code = "quota_core_hours"
    title = "The project's jobs have run as long as they may in 30 days"
    remedy = "Wait until older runs are more than 30 days past (GET /v1/usage), or ask for a higher quota."


class ScopeMissing(StoreError):
    """The key may not do this; field `scope` names what it lacks."""

    code = "scope_missing"
    title = "The key may not do this"
    remedy = "Use a key that has the scope named in `scope`; a key with the scope `admin` makes them."


class KeyOutlives(StoreError):
    """A key that expires may not make, or prolong, a key that lives longer; field `expires_at`."""

    code = "key_outlives"
    title = "The key would live longer than the one that grants it"
    remedy = "Give `expires_at` no later than that of your own key, or use a key that lives longer."


class LastAdminKey(StoreError):
    """Without this key nobody could make keys for the project; field `id`."""

    code = "last_admin_key"
    title = "It is the project's last key with the scope admin"
    remedy = "Make another key with the scope `admin` first; it can then revoke this one."


class BackupRefused(StoreError):
    """A file that is no backup of this service, or a database that already holds rows."""

    code = "backup_refused"
    title = "The backup cannot be restored"
    remedy = "Give a file that `chaos admin backup` wrote, and a database without rows."


class IdempotencyKeyReused(StoreError):
    """The key came before with another request."""

    code = "idempotency_key_reused"
    title = "The Idempotency-Key belongs to another request"
    remedy = "Send a new key with each new request, and the same key only with the very same request."


class IdempotencyInProgress(StoreError):
    """The first request with this key is still being worked on."""

    code = "idempotency_in_progress"
    title = "The same request is still being worked on"
    remedy = "Send it again with the same key after the seconds in Retry-After: it is never done twice."


class IdempotencyAnswerLost(StoreError):
    """What was asked was done, but its answer cannot be given again; field `made`."""

    code = "idempotency_answer_lost"
    title = "The request was carried out, but its answer is gone"
    remedy = "Look at what it made (`made`: noun and id); to do it once more, send it with a new key."
