"""What a whole experiment on the SageMaker backend calls, reads, waits for and pays; writes ``sagemaker.md``.

Time is virtual. Calls take none of it; in reality each takes some tenths of a second.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from statistics import mean, median

from benchmarks.run import machine, table
from benchmarks.sagemaker_runs import Case, Done, run

from trialjob.backends.sagemaker.machines import Spot
from trialjob.model.ids import TrialId, job_name
from trialjob.model.trial import StopKind
from trialjob.orchestrator.core.events import ReportsRead, RungReached, StopIntended
from trialjob.testing.fake_aws import jobs_by_tags, most_instances
from trialjob.testing.sagemaker_simulation import SETTINGS
from trialjob.testing.simulation import NAME

CASES = (
    Case(name="8 workers", trials=32, workers=8),
    Case(name="64 workers", trials=256, workers=64),
    Case(name="100 workers", trials=400, workers=100),
    Case(name="8, cold", trials=32, workers=8, settings=SETTINGS),
    Case(name="8, spot", trials=32, workers=8, settings=replace(SETTINGS, spot=Spot(max_wait=4 * 3600.0))),
)
_NOTES = """
ASHA with reduction factor 2 up to 8 epochs of 50 to 80 s; a usual pause of 10 s between looks. A cold start
takes 180 s and a warm one 25 s, the download included; a pool waits 240 s. A job prints 30 lines an epoch and
its report. The service has a hard day (`Faults.hard_day`, `Durations.hard_day`): a line is seen up to 3 s
late, and 2 of 1,000 lines 10 to 30 s later; a stop takes 20 to 60 s, which are billed; lists show rows of 4.5
s ago. On spot, 3 of 10 launches are interrupted within 5 minutes, and billable seconds are what a discount of
70 % leaves. The service refuses calls beyond its published rates. All times are virtual, but for the CPU;
calls take no virtual time.

- *Owed*: what the jobs are billed for, less the time from the line that lost a trial its job to the call that
  stopped it. A *warm gap* is from a job's end to the launch that takes its machine over.
- *Slot use*: the share of the slots' time, until the last launch, in which a job held the slot; *training*:
  in which it trained.
- *Watching*: ListTrainingJobs and FilterLogEvents of a look at running jobs. The log of an ended job is
  read once more, with those of others that ended in the same 45 s, among the calls of a trial.
- Before a launch a list of jobs that are never to run (ListBucket) tells, which is a minute old at most. A
  row of a list tells that a job has ended; what it came to is told by a Search of many, which here is 20 s
  late and needs a permission of its own, and by DescribeTrainingJob where that does not help. Until
  2026-11-29 each was described, each launch asked S3 twice and each log was read by a call of its own: 425
  calls with 8 workers and 1,986 with 64; and 379 and 1,426 on the way.
- CPU is that of the orchestrating process, boto3 and a journal on disk with it, the fake's own left out.

Every line is *delivered* once and fetched about six times, where 1.5 times was the aim. FilterLogEvents takes
a line's own time and not that of its arrival, so whoever waits for late lines reads others again: a look
begins 30 s before the newest line, which is each line once for every look in 30 s, and the log of an ended
job is read once more as a whole, for lines that came later still. What was considered, and is not safe:

- GetLogEvents' forward token. It is the place in one stream by time, not by arrival (boto3's issue 4472), so
  a line that comes late with an earlier time stands before it and is never shown; who followed by that token
  saw bursts left out (aws-sdk-cpp's issue 1073). It is also a call a job, where FilterLogEvents is one.
- No call takes an ingestion time (aws-sdk's issue 213, closed).
- A filter pattern would spare the lines that are no reports. But a report may come cut in two events, whose
  second has no mark; regexes and `on_log` need all lines; and silence (`stall_timeout`) is told by any line.
- A shorter overlap with a longer look once a minute would save, by reckoning, a quarter of the lines and no
  call. But then either every mark in the journal names each line since the last longer look, which in a
  chatty log grows without bound, or a line that comes 5 to 20 s late is taken for delivered and lost.

A look is made when it is likely to be worth one (`orchestrator/engine/looks.py`): soon after a rung is due by
a trial's own pace, or by that of the others where it has none yet; when jobs that are being stopped are
likely to have ended; and after twice the usual pause while nothing can come. One or two jobs whose end is
awaited are asked for by name, where a list is as old as 4.5 s. A look asks for lines, for ends or for both,
as each is worth a call by then. Until 2026-11-29 a look was made every 10 s and asked for both: from the
losing line to StopTrainingJob it took 7.2 s with 8 workers and 7.7 s with 64, with 312 and 894 calls. 4 s at
64 workers would take about 1,000 calls (3.5 s were had with 1,060): there something comes every two seconds,
so only more looks can see it sooner. Of the calls there 551 start and stop jobs and end pools.

What is billed above what is owed with 8 workers, by cause, on average of five days (`Faults.hard_day(seed)`,
seeds 0 to 4), where 5,477 s are owed; jobs that the rule stopped are apart from those that trained to the
end. Starts and stops themselves are owed, as the service takes them:

| cause                                                       | cases, seconds      | of what is owed |
| ----------------------------------------------------------- | ------------------- | --------------- |
| machines that wait for the next launch, behind stopped jobs | 22.4: 162 s, 7.2 s  | 2.95 %          |
| … behind jobs that trained to the end                       | 1.6: 19 s, 12 s     | 0.35 %          |
| pools that are given back after the last launch, … stopped  | 7: 33 s, 4.7 s      | 0.60 %          |
| … trained to the end                                        | 1: 6 s, 5.8 s       | 0.11 %          |
| losing line to StopTrainingJob: the line is on its way      | 29.4: 41 s, 1.4 s   | 0.75 %          |
| … from when the service shows it                            | 29.4: 87 s, 2.9 s   | 1.58 %          |
| all                                                         | 347 s               | 6.3 %           |

So what 1.05 would take is a look at the right second: 0.75 points are lines that are not there yet, and of
the 7.2 s of a gap 4.5 s are what a list is late by, where a job that is asked for by name is a call each.
Half the patience for ends took 355 calls in place of 342 and left 6.25 % in place of 6.48 %, on average of
twelve days. A pool cannot be given up before it is Available, so the last ones wait for a look, too. Days
differ: 1.053 to 1.072, 320 to 352 calls, and 3.2 to 3.8 s at the median from the losing line to the stop.

The table is from before a job that is being stopped is asked for by name only once it has been for as long as
the quickest of the newest twelve (34 of 46 such calls had shown that it was stopping). What that spares is
spent on shorter pauses with few jobs: on these five days 1.059 in place of 1.063, 333 calls in place of 335,
3.3 s in place of 3.5 s at the median; seeds 5 to 9: 1.060, 338 calls. Half the patience for ends on top:
1.058 with 349 calls, and 901 with 64 workers. Lines looked for 2 s later, and a list every 20 s: 1.057 with
326 calls, but 4.4 s to the stop. Three jobs asked for by name: 1.059 with 341.

Until 2026-11-30 only ends that somebody had asked for were looked for: 1.063 and 344 calls on
the same days with 8 workers, and with 64 the last pools were given back 13 to 23 s after the last job, with
903 calls on average of three days. There it is 5 s on each of the five days with 890 to 899 calls, 1.091, and
7.5 s at the median from the losing line to the stop (6.8 s before, on three of them): the shortest pause is
longer by 0.5 s, which pays for the looks at the end.

A slot is handed on when the service says that the job has ended; its log is read to its end beside that.
Until 2026-11-29 it was handed on when the log had been read, for which the longest delay that any line had
ever had was waited. The same service and the same day, before and after, with a look every 10 s:

| what                                | 8, before     | 8, after      | 64, before     | 64, after     |
| ----------------------------------- | ------------- | ------------- | -------------- | ------------- |
| wall-clock                          | 19.5 min      | 18.2 min      | 26.5 min       | 24.2 min      |
| billable seconds: jobs + idle pools | 5,921 + 1,051 | 5,907 + 326   | 50,117 + 13,549 | 49,671 + 3,159 |
| idle of all billable                | 15.1%         | 5.2%          | 21.3%          | 6.0%          |
| billable ÷ owed                     | 1.220         | 1.090         | 1.316          | 1.105         |
| idle a warm gap, median; 95 %       | 19 s; 49 s    | 10 s; 12 s    | 53 s; 57 s     | 12 s; 20 s    |
| last pools after the last job       | 49 s          | 9 s           | 51 s           | 13 s          |
| calls, all                          | 447           | 425           | 2,049          | 1,986         |
| log lines: fetched / printed        | 5.19          | 5.27          | 4.93           | 4.93          |

One launch a second is what the service grants an account. It fills 64 slots in a minute, and reuses the
pools of 64 jobs that end together long before their 240 s are over. Beyond about 100 workers, with trials
of a few minutes, slots wait for turns and pools wait with them, paid for: with 200 workers and 600 trials,
not in the table, jobs held 61 % of the slots' time, and 46 % of the billable seconds were idle ones.

Beside Syne Tune 0.13, the last release with a SageMaker backend (`benchmarks/sagemaker_beside.py` says how it
is installed and run): the case of 8 workers, the same service on the same hard day, the same configurations
in the same order, rungs at 1, 2, 4 and 8 and warm pools of 240 s; its other settings are its defaults, with
all 32 trials waited for. It runs unchanged, with SDK 2.257.7. Without waiting for ended jobs
(`start_jobs_without_delay`), which is its default, it needs up to 15 machines for 8 workers. *5 s* and
*10 s* are between its looks, *waits* is with that switched off. *Training* is all time in which jobs trained,
also behind the line that lost a trial its job: it stops them later, so that they print more reports. CPU is
that of the tuning process, on a busy machine.

| what                                | trialjob    | Syne Tune, 5 s | 5 s, waits    | 10 s, waits   |
| ----------------------------------- | ----------- | -------------- | ------------- | ------------- |
| trials; jobs                        | 32; 32      | 32; 32         | 32; 32        | 32; 32        |
| wall-clock                          | 17.8 min    | 20.1 min       | 22.0 min      | 22.7 min      |
| billable seconds: jobs + idle pools | 5,568 + 312 | 5,677 + 5,447  | 5,876 + 2,210 | 6,099 + 2,284 |
| billable ÷ training                 | 1.51        | 2.49           | 1.70          | 1.70          |
| idle of all billable                | 5.3%        | 49.0%          | 27.3%         | 27.2%         |
| launches that reused a pool         | 75%         | 53%            | 75%           | 75%           |
| most instances at once              | 8           | 15             | 8             | 8             |
| reports that were printed           | 59          | 68             | 73            | 75            |
| calls; refused as too many          | 341; 0      | 3,680; 163     | 6,458; 451    | 4,212; 322    |
| CPU                                 | 1.4 s       | 58.3 s         | 79.4 s        | 54.0 s        |
"""


# What is asked of an experiment that has ended


def figures(done: Done) -> dict[str, str]:
    calls = done.service.ledger.by_operation()
    reads = [call for call in done.service.ledger.calls if call.operation == "FilterLogEvents"]
    shared = [call for call in reads if call.params.get("logStreamNamePrefix") == f"{NAME}-"]
    emitted, fetched = len(done.service.lines()), sum(call.returned for call in reads)
    bill, jobs = done.service.bill(), done.jobs
    later = jobs[done.case.workers :]
    surplus = len(jobs_by_tags(jobs, "trialjob:trial")) - done.case.trials
    found = {
        "wall-clock": f"{done.wall / 60:.1f} min",
        "billable seconds: jobs + idle pools": f"{bill.billable:,.0f} + {bill.idle:,.0f}",
        "idle of all billable": f"{bill.idle / (bill.billable + bill.idle):.1%}",
        "billable ÷ owed": f"{_over_owed(done):.3f}",
        "idle a warm gap, median; 95 %; the longest": _gaps(done),
        "last pools given back after the last job": _last_pools(done),
        "launches that reused a pool": f"{bill.warm_starts / len(jobs):.0%}",
        "… after the first wave": f"{mean(job.warm_from is not None for job in later):.1%}",
        "slot use; training": f"{_slot_use(done):.1%}; {_slot_use(done, training=True):.1%}",
        "trials; jobs; surplus": f"{len(done.state.trials)}; {len(jobs)}; {surplus}",
        "most instances at once": f"{most_instances(jobs)}",
        "… with idle pools": f"{most_instances(jobs, pools=True)}",
        "spot interruptions": f"{bill.interruptions}",
        "looks": f"{done.looks}",
        "watching: calls a look": f"{(calls['ListTrainingJobs'] + len(shared)) / done.looks:.2f}",
        "log lines: fetched / printed": f"{fetched:,} / {emitted:,} = {fetched / emitted:.2f}",
        "… of these, at looks": f"{sum(call.returned for call in shared) / emitted:.2f}",
        "… at one look, at most": f"{max(call.returned for call in shared):,}",
        "reports: journaled / printed": _reports(done),
        "throttled calls": f"{done.service.ledger.count(outcome='ThrottlingException')}",
        "losing line to StopTrainingJob, median; max": _delays(done),
        "orchestrator CPU a look; a trial": f"{done.cpu / done.looks * 1e3:.1f} ms; "
        f"{done.cpu / done.case.trials * 1e3:.0f} ms",
    }
    return found | _calls_a_trial(calls, done.case.trials)


def _reports(done: Done) -> str:
    printed = sum("[trialjob]" in line.message for line in done.service.lines())
    journaled = sum(
        len(event.reports)
        for record in done.simulation.journal.read()
        for event in record.events
        if isinstance(event, ReportsRead)
    )
    return f"{journaled} / {printed}"


def _calls_a_trial(calls: Counter[str], trials: int) -> dict[str, str]:
    total = f"{calls.total():,}; {calls.total() / trials:.1f}"
    return {"calls, all; a trial": total} | {
        f"… {operation}": f"{count / trials:.2f}" for operation, count in sorted(calls.items())
    }


def _slot_use(done: Done, *, training: bool = False) -> float:
    """The share of the slots' time until the last launch that was held by jobs, or in which they trained."""
    jobs = done.jobs
    first, last = jobs[0].created, jobs[-1].created
    held = 0.0
    for job in jobs:
        for moment, following in zip(job.history, job.history[1:], strict=False):
            if not training or moment.secondary == "Training":
                held += max(0.0, min(following.at, last) - moment.at)
    return held / (done.case.workers * (last - first))


def _over_owed(done: Done) -> float:
    """What is billed, by what the training and the service itself took: no idle pool, and no late stop."""
    bill = done.service.bill()
    billed = bill.billable + bill.idle
    return billed / (bill.billable - sum(_reactions(done)))


def _gaps(done: Done) -> str:
    """How long pools that were taken over had waited."""
    gaps = [job.pool.seconds(0.0) for job in done.jobs if job.pool is not None and job.pool.reused_by]
    if not gaps:
        return ""
    return f"{median(gaps):.0f} s; {sorted(gaps)[int(len(gaps) * 0.95)]:.0f} s; {max(gaps):.0f} s"


def _last_pools(done: Done) -> str:
    """How long after the last job's end the last pool was there."""
    ended = max(job.ended or 0.0 for job in done.jobs)
    left = [job.pool.ended for job in done.jobs if job.pool is not None and job.pool.ended is not None]
    return f"{max(left) - ended:.0f} s" if left else ""


def _delays(done: Done) -> str:
    delays = _reactions(done)
    return f"{median(delays):.1f} s; {max(delays):.1f} s ({len(delays)} stopped)"


def _reactions(done: Done) -> list[float]:
    """From the line that lost a trial its job to the call that stopped it, in seconds."""
    stopped = {
        call.subject: call.at
        for call in done.service.ledger.calls
        if call.operation == "StopTrainingJob" and call.outcome == "ok"
    }
    return [stopped[job] - _line_at(done, job, rung) for job, rung in _losses(done) if job in stopped]


def _losses(done: Done) -> list[tuple[str, float]]:
    """Each job that was stopped by the rule, and the rung in which it lost."""
    rungs: dict[TrialId, float] = {}
    lost: list[tuple[str, float]] = []
    for record in done.simulation.journal.read():
        for event in record.events:
            if isinstance(event, RungReached):
                rungs[event.trial] = event.rung
            elif isinstance(event, StopIntended) and event.reason.kind is StopKind.PRUNED:
                lost.append((job_name(NAME, event.trial, event.attempt), rungs[event.trial]))
    return lost


def _line_at(done: Done, job: str, rung: float) -> float:
    wanted = f'"epoch": {rung:g},'
    return next(line.timestamp / 1000 for line in done.service.lines(f"{job}/") if wanted in line.message)


def _measured(case: Case) -> dict[str, str]:
    with tempfile.TemporaryDirectory() as folder:
        return figures(run(case, Path(folder)))


_AIMS = {
    "billable ÷ owed": "≤ 1.05",
    "calls, all; a trial": "≤ 350; ≤ 900 with 64",
    "losing line to StopTrainingJob, median; max": "≤ 4 s",
    "idle a warm gap, median; 95 %; the longest": "≤ 15 s; ≤ 25 s",
    "last pools given back after the last job": "≤ 15 s",
    "… after the first wave": "≥ 95 %",
    "trials; jobs; surplus": "0 surplus",
    "most instances at once": "the workers",
    "watching: calls a look": "2 up to 100 jobs",
    "log lines: fetched / printed": "≤ 1.5; see below",
    "reports: journaled / printed": "each once",
    "throttled calls": "0",
}


def main() -> None:
    # What boto3 reads when it begins is no cost of a look.
    _measured(Case(name="warm-up", trials=3, workers=2))
    found = [_measured(case) for case in CASES]
    names = list(dict.fromkeys(name for each in found for name in each))
    rows = [["what", *(case.name for case in CASES), "goal"]]
    rows += [["trials", *(f"{case.trials}" for case in CASES), ""]]
    rows += [[name, *(each.get(name, "") for each in found), _AIMS.get(name, "")] for name in names]
    text = f"# The SageMaker backend\n\n{machine()}\n\n{table(rows)}\n{_NOTES}"
    Path(__file__).with_name("sagemaker.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
