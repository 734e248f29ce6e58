"""The commands and their options, and nothing else.

Rule: importing this loads click and the standard library only, so that ``trialjob --help`` is quick; each
command imports what it needs when it is called.
"""

# ruff: noqa: PLC0415 - imports inside the commands are what keeps the help quick

from __future__ import annotations

import gc
from typing import Literal

import click

from trialjob._version import __version__
from trialjob.apps.cli.errors import Begun, guarded
from trialjob.apps.cli.init import init
from trialjob.apps.cli.options import backend_option, interrupt_option, set_option, store_option
from trialjob.apps.cli.pricing import prices
from trialjob.apps.cli.schema import schema
from trialjob.apps.cli.serving import serve

_EPILOG = """\b
Exit status:
  0  the experiment ended by one of its own limits, or the command did its work
  1  the experiment ended by failures; doctor found a fault; audit found what runs
  2  the spec or the command is wrong
  3  interrupted, detached or stopped: the experiment can go on; step: it goes on
"""


@click.group(epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="trialjob")
def cli() -> None:
    """Tune hyperparameters: every trial is one managed job."""


cli.add_command(init)
cli.add_command(prices)
cli.add_command(schema)
cli.add_command(serve)


@cli.command()
@click.argument("spec", type=click.Path())
@backend_option
@click.option("--name", help="The experiment's name, as it is [default: the spec's with a unique suffix].")
@click.option("--yes", is_flag=True, help="Do not ask, on a terminal, when nothing caps the cost.")
@set_option
@interrupt_option
@store_option
@click.pass_obj
def run(
    begun: Begun,
    *,
    spec: str,
    backend: str | None,
    name: str | None,
    yes: bool,
    overrides: tuple[str, ...],
    on_interrupt: Literal["stop", "detach"] | None,
    store: str | None,
) -> int:
    """Start an experiment from a SPEC file and run it to its end."""
    from trialjob.apps.cli.running import run_spec

    return run_spec(
        begun,
        spec,
        backend=backend,
        name=name,
        overrides=overrides,
        on_interrupt=on_interrupt,
        yes=yes,
        store=store,
    )


@cli.command()
@click.argument("name")
@click.argument("spec", type=click.Path(), required=False)
@backend_option
@set_option
@interrupt_option
@store_option
@click.pass_obj
def resume(
    begun: Begun,
    *,
    name: str,
    spec: str | None,
    backend: str | None,
    overrides: tuple[str, ...],
    on_interrupt: Literal["stop", "detach"] | None,
    store: str | None,
) -> int:
    """Go on with experiment NAME; with SPEC or --set, with other limits."""
    from trialjob.apps.cli.running import resume_experiment

    return resume_experiment(
        begun,
        name,
        spec=spec,
        backend=backend,
        overrides=overrides,
        on_interrupt=on_interrupt,
        store=store,
    )


@cli.command()
@click.argument("name")
@click.argument("spec", type=click.Path(), required=False)
@click.option(
    "--for", "duration", metavar="TIME", help="Go on at the poll interval, such as 50s [default: one step]."
)
@backend_option
@set_option
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@store_option
@click.pass_obj
def step(
    begun: Begun,
    *,
    name: str,
    spec: str | None,
    duration: str | None,
    backend: str | None,
    overrides: tuple[str, ...],
    form: str,
    store: str | None,
) -> int:
    """Move experiment NAME on by one step, for cron and other schedules; with SPEC, start it if need be.

    Exit status 3: it goes on, so step again; 0 or 1: it has ended.
    """
    from trialjob.apps.cli.stepping import step_experiment

    return step_experiment(
        begun,
        name,
        spec=spec,
        duration=duration,
        backend=backend,
        overrides=overrides,
        form=form,
        store=store,
    )


@cli.command()
@click.argument("name")
@click.argument("target", metavar="S3-URI")
@store_option
def push(*, name: str, target: str, store: str | None) -> int:
    """Move experiment NAME to another store, such as s3://bucket/prefix, while its jobs run on."""
    from trialjob.apps.cli.moving import move_experiment

    return move_experiment(name, source=store, target=target)


@cli.command()
@click.argument("name")
@click.argument("source", metavar="S3-URI")
@store_option
def pull(*, name: str, source: str, store: str | None) -> int:
    """Move experiment NAME from another store, such as s3://bucket/prefix, to this one."""
    from trialjob.apps.cli.moving import move_experiment

    return move_experiment(name, source=source, target=store)


@cli.command()
@click.argument("name")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@store_option
def status(*, name: str, form: str, store: str | None) -> int:
    """Show where experiment NAME stands."""
    from trialjob.apps.cli.showing import show_status

    return show_status(name, form=form, store=store)


@cli.command(name="list")
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True)
@store_option
def list_(*, form: str, store: str | None) -> int:
    """List the experiments in the store."""
    from trialjob.apps.cli.showing import show_list

    return show_list(form=form, store=store)


@cli.command()
@click.argument("name")
@click.option("--no-wait", is_flag=True, help="Ask for the end and return at once.")
@store_option
@click.pass_obj
def stop(begun: Begun, *, name: str, no_wait: bool, store: str | None) -> int:
    """Stop experiment NAME: cancel what runs, keep every finished result."""
    from trialjob.apps.cli.stopping import stop_experiment

    return stop_experiment(begun, name, wait=not no_wait, store=store)


@cli.command(name="rm")
@click.argument("names", nargs=-1, metavar="[NAME...]")
@click.option("--older-than", metavar="TIME", help="All that have ended, last changed so long ago: 30d.")
@click.option(
    "--artifacts", is_flag=True, help="The experiment's folder in S3 too: models, output, checkpoints."
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@store_option
def rm(
    *, names: tuple[str, ...], older_than: str | None, artifacts: bool, yes: bool, store: str | None
) -> int:
    """Remove experiments NAME for good: journal, code, logs and what trials left on this machine.

    Refuses what runs.
    """
    from trialjob.apps.cli.removing import remove_experiments

    if bool(names) == (older_than is not None):
        raise click.UsageError("name experiments, or write --older-than.")
    return remove_experiments(names, older_than=older_than, artifacts=artifacts, yes=yes, store=store)


@cli.command()
@click.argument("name")
@click.option(
    "--format", "form", type=click.Choice(["table", "json", "csv"]), default="table", show_default=True
)
@click.option("--pareto", is_flag=True, help="Only the trials that no other beats in every objective.")
@click.option(
    "--sort", metavar="COLUMN", help="Metrics the best first, others ascending; -COLUMN: turned round."
)
@click.option("--top", type=click.IntRange(min=1), help="So many trials at most, the best unless sorted.")
@click.option(
    "--columns", metavar="A,B,…", help="These columns of the CSV in this order, such as lr,val_loss.last."
)
@store_option
def results(
    *,
    name: str,
    form: str,
    pareto: bool,
    sort: str | None,
    top: int | None,
    columns: str | None,
    store: str | None,
) -> int:
    """Show every trial of experiment NAME with all its metrics, and the best one."""
    from trialjob.apps.cli.showing import show_results

    return show_results(name, form=form, pareto=pareto, sort=sort, top=top, columns=columns, store=store)


@cli.command()
@click.argument("name")
@store_option
def watch(*, name: str, store: str | None) -> int:
    """Follow experiment NAME, whoever runs it, until it ends or Ctrl-C; changes nothing."""
    from trialjob.apps.cli.watching import watch_experiment

    return watch_experiment(name, store=store)


@cli.command()
@click.argument("name")
@click.option("-o", "--output", metavar="FILE", help="Where to write it [default: NAME.html here].")
@click.option("--live", is_flag=True, help="Write it again and again until the experiment has ended.")
@store_option
def report(*, name: str, output: str | None, live: bool, store: str | None) -> int:
    """Write one HTML file about experiment NAME: the story, figures and every trial."""
    from trialjob.apps.cli.reporting import write_report

    return write_report(name, output=output, live=live, store=store)


@cli.command()
@click.argument("name")
@click.option("--optuna", metavar="URL", help="An Optuna storage: sqlite:///study.db, or a journal file.")
@click.option("--mlflow", is_flag=True, help="The MLflow of the spec, or of MLFLOW_TRACKING_URI.")
@click.option("-f", "--follow", is_flag=True, help="Go on until the experiment has ended.")
@store_option
def export(*, name: str, optuna: str | None, mlflow: bool, follow: bool, store: str | None) -> int:
    """Send experiment NAME to another tool; what is there already is brought up to date."""
    from trialjob.apps.cli.exporting import export_experiment

    return export_experiment(name, optuna=optuna, mlflow=mlflow, follow=follow, store=store)


@cli.command()
@click.argument("name")
@click.argument("trial", type=click.IntRange(min=1))
@click.option("--attempt", type=click.IntRange(min=1), help="Which attempt [default: the newest].")
@click.option("-f", "--follow", is_flag=True, help="Go on until the attempt ends.")
@store_option
def logs(*, name: str, trial: int, attempt: int | None, follow: bool, store: str | None) -> int:
    """Print the log of TRIAL of experiment NAME."""
    from trialjob.apps.cli.logs import print_log

    return print_log(name, trial, attempt=attempt, follow=follow, store=store)


@cli.command()
@click.argument("name")
@click.option("--best", is_flag=True, help="The best trial [default].")
@click.option(
    "--trial", "trials", type=click.IntRange(min=1), multiple=True, help="This trial; may be repeated."
)
@click.option("--all", "every", is_flag=True, help="Every trial that has left something.")
@click.option("--logs", is_flag=True, help="The logs too.")
@click.option("--to", metavar="DIR", help="Where to [default: a folder with the experiment's name].")
@store_option
def download(
    *,
    name: str,
    best: bool,
    trials: tuple[int, ...],
    every: bool,
    logs: bool,
    to: str | None,
    store: str | None,
) -> int:
    """Bring the models and outputs of experiment NAME to this machine.

    They come to DIR/trial-0007/model and DIR/trial-0007/output. What is there already is not fetched again,
    and a download that was interrupted goes on where it was.
    """
    from trialjob.apps.cli.downloading import download as bring

    if best + bool(trials) + every > 1:
        raise click.UsageError("--best, --trial and --all exclude each other.")
    return bring(name, trials=trials, every=every, logs=logs, to=to, store=store)


@cli.command(name="check-metrics")
@click.argument("spec", type=click.Path())
@click.option("--log", metavar="FILE", required=True, help="What the script has printed; - for stdin.")
@backend_option
@set_option
def check_metrics(*, spec: str, log: str, backend: str | None, overrides: tuple[str, ...]) -> int:
    """Show which lines of a log the metrics of a SPEC match and what they read, and suggest patterns.

    Exit status 1 when there is no value of the objective.
    """
    from trialjob.apps.cli.check_metrics import check_metrics as check

    return check(spec, log, backend=backend, overrides=overrides)


@cli.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME NAME...")
@store_option
def compare(*, names: tuple[str, ...], store: str | None) -> int:
    """Show experiments side by side: what came out, what it took, and in what their specs differ."""
    from trialjob.apps.cli.comparing import compare as show

    return show(names, store=store)


@cli.command()
@click.argument("name")
@click.option("--top", type=click.IntRange(1, 100), default=3, show_default=True, help="How many of them.")
@click.option("--seeds", type=click.IntRange(1, 100), default=3, show_default=True, help="How often each.")
@click.option(
    "--seed-name", default="seed", show_default=True, help="The hyperparameter that takes the seed."
)
@click.option("--yes", is_flag=True, help="Do not ask, on a terminal, when nothing caps the cost.")
@set_option
@interrupt_option
@store_option
@click.pass_obj
def confirm(
    begun: Begun,
    *,
    name: str,
    top: int,
    seeds: int,
    seed_name: str,
    overrides: tuple[str, ...],
    on_interrupt: Literal["stop", "detach"] | None,
    yes: bool,
    store: str | None,
) -> int:
    """Run the best configurations of experiment NAME again with new seeds: mean and spread of each.

    They are an experiment of their own, with the same code and limits, and a trial for each configuration
    and seed.
    """
    from trialjob.apps.cli.confirming import confirm as again

    return again(
        begun,
        name,
        top=top,
        seeds=seeds,
        seed_name=seed_name,
        overrides=overrides,
        on_interrupt=on_interrupt,
        yes=yes,
        store=store,
    )


@cli.command()
@click.argument("spec", type=click.Path())
@click.option("--epoch-seconds", metavar="TIME", help="How long an epoch takes, such as 45 or 2m.")
@click.option("--epochs", type=click.FloatRange(min=0, min_open=True), help="Epochs of a whole trial.")
@click.option("--like", metavar="NAME", help="Learn and last as an earlier experiment did, or a .csv table.")
@click.option(
    "--rehearse", is_flag=True, help="Train one trial for one epoch here, to see how long it takes."
)
@click.option(
    "--assume", metavar="NAME=VALUE", multiple=True, help="Another figure for an assumption of docs/plan.md."
)
@click.option("--account", is_flag=True, help="Ask the account for its quotas; needs credentials.")
@backend_option
@set_option
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@store_option
def plan(
    *,
    spec: str,
    epoch_seconds: str | None,
    epochs: float | None,
    like: str | None,
    rehearse: bool,
    assume: tuple[str, ...],
    account: bool,
    backend: str | None,
    overrides: tuple[str, ...],
    form: str,
    store: str | None,
) -> int:
    """Say what a SPEC will take and cost, and what is wrong with it, before anything is started.

    Launches nothing and needs no credentials.
    """
    from trialjob.apps.cli.planning import plan_spec

    return plan_spec(
        spec,
        epoch_seconds=epoch_seconds,
        epochs=epochs,
        like=like,
        rehearse=rehearse,
        assume=assume,
        account=account,
        backend=backend,
        overrides=overrides,
        form=form,
        store=store,
    )


@cli.command()
@click.argument("spec", type=click.Path())
@backend_option
@set_option
def doctor(*, spec: str, backend: str | None, overrides: tuple[str, ...]) -> int:
    """Check the account for what a SPEC will need: credentials, role, bucket, image, quotas.

    Launches nothing. Exit status 1 when something is wrong.
    """
    from trialjob.apps.cli.checking import check_spec

    return check_spec(spec, backend=backend, overrides=overrides)


@cli.command()
@click.option("--stop", is_flag=True, help="Stop the jobs and end the warm pools that have no owner.")
@click.option("--experiment", metavar="NAME", help="Only this experiment; with --stop, whoever owns it.")
@click.option("--yes", is_flag=True, help="Do not ask before stopping.")
@click.option("--backend", metavar="KIND", default="sagemaker", show_default=True, help="sagemaker or slurm.")
@click.option("--region", help="Where to look [default: $AWS_REGION, else the profile's].")
@click.option("--profile", help="As whom to look [default: by boto3's rules].")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@store_option
def audit(
    *,
    stop: bool,
    experiment: str | None,
    yes: bool,
    backend: str,
    region: str | None,
    profile: str | None,
    form: str,
    store: str | None,
) -> int:
    """Show every job and warm pool of trialjob's in the account and region, or in SLURM's queue.

    Exit status 0 when nothing runs (any more), 1 when something does.
    """
    from trialjob.apps.cli.auditing import audit_account

    return audit_account(
        stop=stop,
        experiment=experiment,
        yes=yes,
        backend=backend,
        region=region,
        profile=profile,
        form=form,
        store=store,
    )


#: So many objects more than before are made before garbage is looked for.
_COLLECT_AFTER = 100_000


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit status."""
    # A journal becomes very many objects, all of them kept: looking for garbage among them takes long.
    gc.set_threshold(_COLLECT_AFTER)
    return guarded(lambda begun: cli.main(args=arguments, standalone_mode=False, obj=begun))
