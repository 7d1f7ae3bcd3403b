"""A periodic job that does not succeed any more is an alarm like any other, and ends by itself.

Law of this file: it is told which jobs are stuck and which are well; one open alarm for each job and area.
"""

from __future__ import annotations

from collections.abc import Iterable

from central.engine.model import Condition, Reason
from central.pipeline.own import end_own, raise_own
from central.pipeline.work import Work, together
from central.store import jobs
from central.store.jobs import Job
from central.store.pool import Tx

_TEXT = {
    jobs.WORKER: "通知发送进程无响应 / no worker says any more that it turns: is one running",
    jobs.INGEST: "接收进程无响应 / no ingest says any more that it turns: is one running",
    jobs.AUDITOR: "审核进程无法证明一切正常 / the auditor proves no more that all is well:"
    " is smokewatch-auditor running, and what does its log say",
}


async def judge_jobs(tx: Tx, stuck: Iterable[Job], well: Iterable[Job]) -> int:
    """Open an alarm for each stuck job, close that of each other one. Returns how many that touched."""
    areas = await jobs.areas(tx)
    stuck, well = list(stuck), list(well)
    return await together(tx, lambda work: _judge(work, areas, stuck, well))


async def _judge(work: Work, areas: list[str], stuck: list[Job], well: list[Job]) -> int:
    await work.learn_parts([(None, _part(job, area)) for job in (*stuck, *well) for area in areas])
    touched = 0
    for area in areas:
        for job in stuck:
            if await work.open_alarm(None, _part(job, area), Condition.SYSTEM) is not None:
                continue
            await raise_own(
                work,
                condition=Condition.SYSTEM,
                gateway=None,
                part=_part(job, area),
                area=area,
                reason=Reason.JOB_STUCK,
                detail={
                    "text": _TEXT.get(job.name)
                    or f"后台任务停滞 / the job {job.name!r} does not succeed any more:"
                    " is smokewatch-central-jobs running, and what does its log say",
                    "job": job.name,
                    "succeeded_at": job.succeeded_at.isoformat(),
                },
            )
            touched += 1
        for job in well:
            ended = await end_own(
                work,
                condition=Condition.SYSTEM,
                gateway=None,
                part=_part(job, area),
                reason=Reason.JOB_WORKS,
            )
            touched += ended is not None
    return touched


def _part(job: Job, area: str) -> str:
    return f"job:{job.name}:{area}"
