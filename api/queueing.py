from typing import Any

from fastapi import BackgroundTasks, Response

from chaos_store import broker, jobs, logs

from .context import Caller, Context
from .schemas.jobs import JobOut


async def queue_job(
    context: Context, caller: Caller, response: Response, background: BackgroundTasks, **words: Any
) -> JobOut:
    async with context.write() as session:
        job = await session.run_sync(
            jobs.create,
            project_id=caller.project_id,
            max_attempts=context.settings.max_attempts,
            max_queued=context.settings.max_queued_jobs,
            **words,
        )
        made = JobOut.of(job, None)
    logs.bind(job_id=job.id)
    background.add_task(broker.wake, context.celery, job.id, job.kind)
    response.headers["Location"] = made.links.self
    return made
