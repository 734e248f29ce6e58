"""What a whole experiment on the SageMaker backend calls, reads, waits for and pays; writes ``sagemaker.md``.

Time is virtual. Calls take none of it; in reality each takes some tenths of a second.
"""

from __future__ import annotations

import tempfile
from collections import Counter, defaultdict
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
from trialjob.testing.fake_aws.logs import LogEvent
from trialjob.testing.sagemaker_simulation import SETTINGS
from trialjob.testing.simulation import NAME

CASES = (
    Case(name="8 workers", trials=32, workers=8),
    Case(name="64 workers", trials=256, workers=64),
    Case(name="100 workers", trials=400, workers=100),
    Case(name="8, cold", trials=32, workers=8, settings=SETTINGS),
    Case(name="8, spot", trials=32, workers=8, settings=replace(SETTINGS, spot=Spot(max_wait=4 * 3600.0))),
)
_DAYS = range(5)
_PAUSES = (10.0, 7.0, 5.0, 3.0)

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
  late and needs a permission of its own, and by DescribeTrainingJob where that does not help.
- CPU is that of the orchestrating process, boto3 and a journal on disk with it, the fake's own left out.

A look is made when it is likely to be worth one (`orchestrator/engine/looks.py`): soon after a rung is due by
a trial's own pace, or by that of the others where it has none yet; when jobs that are being stopped are
likely to have ended; and after twice the usual pause while nothing can come. One or two jobs whose end is
awaited are asked for by name, once they have been stopping for as long as the quickest of the newest twelve
took: a list is as old as 4.5 s, and a job that is asked for by name is a call each. A look asks for lines,
for ends or for both, as each is worth a call by then. A slot is handed on when the service says that the job
has ended; its log is read to its end beside that.

## What more looks buy

`backend.poll_interval` is the usual pause, and calls cost nothing but what the account's rates leave for
others. On average of several days (`Faults.hard_day(seed)`, 5 with 8 workers and 2 with 64):

{pauses}

## What is billed above what is owed

With 8 workers and a usual pause of 10 s, by cause, on average of 5 days. Starts and stops themselves are
owed, as the service takes them; jobs that the rule stopped are apart from those that trained to the end.

{causes}

So 1.05 takes looks at the right second, or more of them: 350 calls with 8 workers and 1.05 are not had at
one time, nor 900 calls with 64 and 4 s from the losing line to the stop, as something comes there every two
seconds and 551 calls start and stop jobs and end pools. What was tried within those calls, on the same days:
half the patience for ends (1.058, 349 calls), lines looked for 2 s later and a list every 20 s (1.057, 326,
but 4.4 s to the stop), three jobs asked for by name (1.059, 341), a last launch without a pool (0.1 points).
A pool cannot be given up before it is Available, so the last ones wait for a look, too. What would spare the
looks are messages of the service, none of which can be tried without an account:

- Live Tail (StartLiveTail) sends each event of a log once, as it arrives, without an id by which one that
  FilterLogEvents shows would be known again, and drops some without a word where it is read too slowly. As a
  bell that says when to look it would be safe. A session costs $0.01 a minute beyond 1,800 free ones a month
  and ends after three hours: what it saves, some 1 % of the bill, pays for it from about $60 an hour on.
- EventBridge sends a change of a job's status to a queue, which somebody has to set up in the account.

## Lines that are fetched again

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

## Earlier

| what                                | 8, 28 Nov.    | 8, 29 Nov.    | 64, 28 Nov.     | 64, 29 Nov.    |
| ----------------------------------- | ------------- | ------------- | --------------- | -------------- |
| wall-clock                          | 19.5 min      | 18.2 min      | 26.5 min        | 24.2 min       |
| billable seconds: jobs + idle pools | 5,921 + 1,051 | 5,907 + 326   | 50,117 + 13,549 | 49,671 + 3,159 |
| billable ÷ owed                     | 1.220         | 1.090         | 1.316           | 1.105          |
| idle a warm gap, median; 95 %       | 19 s; 49 s    | 10 s; 12 s    | 53 s; 57 s      | 12 s; 20 s     |
| last pools after the last job       | 49 s          | 9 s           | 51 s            | 13 s           |
| calls, all                          | 447           | 425           | 2,049           | 1,986          |

On the 28th a slot was handed on when the log had been read, for which the longest delay that any line had
ever had was waited. On the 29th a look was still made every 10 s and asked for everything; each ended job was
described, each launch asked S3 twice, and each log was read by a call of its own.

One launch a second is what the service grants an account. It fills 64 slots in a minute, and reuses the
pools of 64 jobs that end together long before their 240 s are over. Beyond about 100 workers, with trials
of a few minutes, slots wait for turns and pools wait with them, paid for: with 200 workers and 600 trials,
not in the table, jobs held 61 % of the slots' time, and 46 % of the billable seconds were idle ones.

## Beside Syne Tune

Syne Tune 0.13 is the last release with a SageMaker backend (`benchmarks/sagemaker_beside.py` says how it
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
    journaled = sum(len(event.reports) for event in done.events if isinstance(event, ReportsRead))
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
    share = done.service.lifecycle.spot_price if done.case.settings.spot else 1.0
    return (bill.billable + bill.idle) / (bill.billable - share * sum(_reactions(done)))


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
    return [seconds for _, seconds in _losses(done)]


def _losses(done: Done) -> list[tuple[LogEvent, float]]:
    """The line of each job that the rule stopped by which it lost, and in how many seconds it was stopped."""
    stopped = _stopped(done)
    rungs: dict[TrialId, float] = {}
    lost: list[tuple[LogEvent, float]] = []
    for event in done.events:
        if isinstance(event, RungReached):
            rungs[event.trial] = event.rung
        elif isinstance(event, StopIntended) and event.reason.kind is StopKind.PRUNED:
            job = job_name(NAME, event.trial, event.attempt)
            if job in stopped:
                line = _line(done, job, rungs[event.trial])
                lost.append((line, stopped[job] - line.timestamp / 1000))
    return lost


def _stopped(done: Done) -> dict[str, float]:
    calls = (call for call in done.service.ledger.calls if call.operation == "StopTrainingJob")
    return {call.subject: call.at for call in calls if call.outcome == "ok"}


def _line(done: Done, job: str, rung: float) -> LogEvent:
    wanted = f'"epoch": {rung:g},'
    return next(line for line in done.service.lines(f"{job}/") if wanted in line.message)


def _done(case: Case) -> Done:
    with tempfile.TemporaryDirectory() as folder:
        return run(case, Path(folder))


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


def _pauses() -> list[list[str]]:
    """What a shorter usual pause leaves of the bill, and what it takes in calls."""
    rows = [
        ["workers", "poll_interval", "billable ÷ owed", "calls", "losing line to StopTrainingJob, median"]
    ]
    for workers, days in ((8, _DAYS), (64, _DAYS[:2])):
        for pause in _PAUSES:
            case = Case(name="pause", trials=4 * workers, workers=workers, pause=pause)
            done = [_done(replace(case, day=day)) for day in days]
            ratio, calls = (mean(map(of, done)) for of in (_over_owed, _calls))
            delay = mean(median(_reactions(each)) for each in done)
            rows.append([f"{workers}", f"{pause:.0f}s", f"{ratio:.3f}", f"{calls:,.0f}", f"{delay:.1f} s"])
    return rows


def _calls(done: Done) -> int:
    return len(done.service.ledger.calls)


def _causes() -> list[list[str]]:
    """What is billed above what is owed, by cause, a day."""
    found: defaultdict[str, list[float]] = defaultdict(list)
    owed = 0.0
    for day in _DAYS:
        done = _done(replace(CASES[0], day=day))
        owed += done.service.bill().billable - sum(_reactions(done))
        stopped = _stopped(done)
        for job in done.jobs:
            if job.pool is not None:
                use = "a machine waits for the next launch" if job.pool.reused_by else "a pool is given back"
                kind = "stopped" if job.name in stopped else "trained to the end"
                found[f"{use}, behind a job that {'was ' * (kind == 'stopped')}{kind}"].append(
                    job.pool.seconds(0.0)
                )
        for line, seconds in _losses(done):
            late = (line.ingested - line.timestamp) / 1000
            found["losing line to StopTrainingJob: the line is on its way"].append(late)
            found["losing line to StopTrainingJob: from when the service shows it"].append(seconds - late)
    rows = [
        [cause, f"{len(each) / len(_DAYS):.1f}", f"{mean(each):.1f} s", f"{sum(each) / owed:.2%}"]
        for cause, each in sorted(found.items(), key=lambda item: -sum(item[1]))
    ]
    total = sum(map(sum, found.values())) / owed
    return [["cause", "cases", "each", "of what is owed"], *rows, ["all", "", "", f"{total:.2%}"]]


def main() -> None:
    # What boto3 reads when it begins is no cost of a look.
    _done(Case(name="warm-up", trials=3, workers=2))
    found = [figures(_done(case)) for case in CASES]
    names = list(dict.fromkeys(name for each in found for name in each))
    rows = [["what", *(case.name for case in CASES), "goal"]]
    rows += [["trials", *(f"{case.trials}" for case in CASES), ""]]
    rows += [[name, *(each.get(name, "") for each in found), _AIMS.get(name, "")] for name in names]
    notes = _NOTES.format(pauses=table(_pauses()), causes=table(_causes()))
    text = f"# The SageMaker backend\n\n{machine()}\n\n{table(rows)}\n{notes}"
    Path(__file__).with_name("sagemaker.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
