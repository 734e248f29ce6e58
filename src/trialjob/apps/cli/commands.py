"""The commands: their options and their help, and where the work of each is done.

Rule: importing this loads click and the standard library only, so that every help is quick. The module that
does the work is imported when its command is called, and takes the options by their names.
"""

from __future__ import annotations

import click

from trialjob._version import __version__
from trialjob.apps.cli.call_log import begin
from trialjob.apps.cli.login import login, logout
from trialjob.apps.cli.options import (
    WholeNumber,
    backend_option,
    detach_option,
    done_by,
    engine_option,
    form_option,
    interrupt_option,
    set_option,
    spec_argument,
    store_option,
    yes_option,
)
from trialjob.apps.cli.pricing import prices
from trialjob.apps.cli.serving import serve
from trialjob.apps.cli.team import tenant, token
from trialjob.apps.cli.user_config import config

_EPILOG = """\b
Exit status:
  0  the experiment ended by one of its own limits, or the command did its work
  1  the experiment ended by failures; doctor found a fault; audit found what runs
  2  the spec or the command is wrong
  3  interrupted, detached or stopped: the experiment can go on; step: it goes on
"""


@click.group(epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="trialjob")
@click.option(
    "-v", "--verbose", is_flag=True, help="Every call to a service on stderr; $TRIALJOB_LOG names a file."
)
@click.pass_context
def cli(context: click.Context, /, *, verbose: bool) -> None:
    """Tune hyperparameters: every trial is one managed job."""
    if (end := begin(verbose=verbose)) is not None:
        context.call_on_close(end)


for _command in (config, login, logout, prices, serve, tenant, token):
    cli.add_command(_command)


@cli.command()
@spec_argument
@backend_option
@engine_option
@click.option("--name", help="The experiment's name, as it is [default: the spec's with a unique suffix].")
@yes_option
@set_option
@detach_option
@interrupt_option
@store_option
@click.pass_obj
@done_by("running", "run_spec")
def run() -> None:
    """Start an experiment from a SPEC file and run it to its end."""


@cli.command()
@click.argument("name")
@click.argument("spec", type=click.Path(), required=False)
@backend_option
@set_option
@detach_option
@interrupt_option
@store_option
@click.pass_obj
@done_by("running", "resume_experiment")
def resume() -> None:
    """Go on with experiment NAME; with SPEC or --set, with other limits."""


@cli.command()
@click.argument("name")
@click.argument("spec", type=click.Path(), required=False)
@click.option(
    "--for", "duration", metavar="TIME", help="Go on at the poll interval, such as 50s [default: one step]."
)
@backend_option
@set_option
@form_option("text", "json")
@store_option
@click.pass_obj
@done_by("stepping", "step_experiment")
def step() -> None:
    """Move experiment NAME on by one step, for cron and other schedules; with SPEC, start it if need be.

    Exit status 3: it goes on, so step again; 0 or 1: it has ended.
    """


@cli.command()
@click.argument("name")
@click.argument("target", metavar="S3-URI")
@store_option
@done_by("moving", "push")
def push() -> None:
    """Move experiment NAME to another store, such as s3://bucket/prefix, while its jobs run on."""


@cli.command()
@click.argument("name")
@click.argument("source", metavar="S3-URI")
@store_option
@done_by("moving", "pull")
def pull() -> None:
    """Move experiment NAME from another store, such as s3://bucket/prefix, to this one."""


@cli.command()
@click.argument("name")
@click.option(
    "-v", "--verbose", is_flag=True, help="And where a browser shows the jobs that run, and the best."
)
@form_option("text", "json")
@store_option
@done_by("showing", "show_status")
def status() -> None:
    """Show where experiment NAME stands."""


@cli.command(name="list")
@form_option("table", "json")
@store_option
@done_by("showing", "show_list")
def list_() -> None:
    """List the experiments in the store."""


@cli.command()
@click.argument("name")
@click.option("--no-wait", is_flag=True, help="Ask for the end and return at once.")
@store_option
@click.pass_obj
@done_by("stopping", "stop_experiment")
def stop() -> None:
    """Stop experiment NAME: cancel what runs, keep every finished result."""


@cli.command(name="rm")
@click.argument("names", nargs=-1, metavar="[NAME...]")
@click.option("--older-than", metavar="TIME", help="All that have ended, last changed so long ago: 30d.")
@click.option(
    "--artifacts", is_flag=True, help="Its folder in S3 or on a cluster too: models, output, checkpoints."
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@store_option
@done_by("removing", "remove_experiments")
def rm() -> None:
    """Remove experiments NAME for good: journal, code, logs and what trials left on this machine.

    Refuses what runs.
    """


@cli.command()
@click.argument("name")
@form_option("table", "json", "csv")
@click.option("--pareto", is_flag=True, help="Only the trials that no other beats in every objective.")
@click.option(
    "--sort", metavar="COLUMN", help="Metrics the best first, others ascending; -COLUMN: turned round."
)
@click.option("--top", type=WholeNumber(min=1), help="So many trials at most, the best unless sorted.")
@click.option(
    "--columns", metavar="A,B,…", help="These columns of the CSV in this order, such as lr,val_loss.last."
)
@store_option
@done_by("showing", "show_results")
def results() -> None:
    """Show every trial of experiment NAME with all its metrics, and the best one."""


@cli.command()
@click.argument("name")
@store_option
@done_by("watching", "watch_experiment")
def watch() -> None:
    """Follow experiment NAME, wherever it runs, until it ends or Ctrl-C; changes nothing."""


@cli.command()
@click.argument("name")
@click.option("-o", "--output", metavar="FILE", help="Where to write it [default: NAME.html here].")
@click.option("--live", is_flag=True, help="Write it again and again until the experiment has ended.")
@store_option
@done_by("reporting", "write_report")
def report() -> None:
    """Write one HTML file about experiment NAME: the story, figures and every trial."""


@cli.command()
@click.argument("name")
@click.option("--optuna", metavar="URL", help="An Optuna storage: sqlite:///study.db, or a journal file.")
@click.option("--tensorboard", metavar="DIR", help="A folder of TensorBoard's, with HParams.")
@click.option("--mlflow", is_flag=True, help="The MLflow of the spec, or of MLFLOW_TRACKING_URI.")
@click.option("-f", "--follow", is_flag=True, help="Go on until the experiment has ended.")
@store_option
@done_by("exporting", "export_experiment")
def export() -> None:
    """Send experiment NAME to another tool; what is there already is brought up to date."""


@cli.command()
@click.argument("name")
@click.argument("trial", type=WholeNumber(min=1))
@click.option("--attempt", type=WholeNumber(min=1), help="Which attempt [default: the newest].")
@click.option("-f", "--follow", is_flag=True, help="Go on until the attempt ends.")
@store_option
@done_by("logs", "print_log")
def logs() -> None:
    """Print the log of TRIAL of experiment NAME."""


@cli.command()
@click.argument("name")
@click.option("--best", is_flag=True, help="The best trial [default].")
@click.option(
    "--trial", "trials", type=WholeNumber(min=1), multiple=True, help="This trial; may be repeated."
)
@click.option("--all", "every", is_flag=True, help="Every trial that has left something.")
@click.option("--logs", is_flag=True, help="The logs too.")
@click.option("--to", metavar="DIR", help="Where to [default: a folder with the experiment's name].")
@store_option
@done_by("downloading", "download")
def download() -> None:
    """Bring the models and outputs of experiment NAME to this machine.

    They come to DIR/trial-0007/model and DIR/trial-0007/output. What is there already is not fetched again,
    and a download that was interrupted goes on where it was.
    """


@cli.command(name="import")
@click.argument("file", type=click.Path())
@click.option("-o", "--output", metavar="FILE", help="Where to write it [default: sweep.yaml beside FILE].")
@done_by("importing", "import_file")
def import_() -> None:
    """Write a spec from FILE: a sweep of Azure ML or W&B, a Katib experiment, or a tuning job of AWS.

    What has no counterpart, or means something else here, is named. That of AWS is the JSON of
    `describe-hyper-parameter-tuning-job`.
    """


@cli.command(name="check-metrics")
@spec_argument
@click.option("--log", metavar="FILE", required=True, help="What the script has printed; - for stdin.")
@backend_option
@set_option
@done_by("check_metrics", "check_metrics")
def check_metrics() -> None:
    """Show which lines of a log the metrics of a SPEC match and what they read, and suggest patterns.

    Exit status 1 when there is no value of the objective.
    """


@cli.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME NAME...")
@store_option
@done_by("comparing", "compare")
def compare() -> None:
    """Show experiments side by side: what came out, what it took, and in what their specs differ."""


@cli.command()
@click.argument("name")
@click.option("--top", type=WholeNumber(1, 100), default=3, show_default=True, help="How many of them.")
@click.option("--seeds", type=WholeNumber(1, 100), default=3, show_default=True, help="How often each.")
@click.option(
    "--seed-name", default="seed", show_default=True, help="The hyperparameter that takes the seed."
)
@yes_option
@set_option
@interrupt_option
@store_option
@click.pass_obj
@done_by("confirming", "confirm")
def confirm() -> None:
    """Run the best configurations of experiment NAME again with new seeds: mean and spread of each.

    They are an experiment of their own, with the same code and limits, and a trial for each configuration
    and seed.
    """


@cli.command()
@spec_argument
@click.option("--epoch-seconds", metavar="TIME", help="How long an epoch takes, such as 45 or 2m.")
@click.option("--epochs", type=click.FloatRange(min=0, min_open=True), help="Epochs of a whole trial.")
@click.option("--like", metavar="NAME", help="Learn and last as an earlier experiment did, or a .csv table.")
@click.option(
    "--rehearse", is_flag=True, help="Train one trial for one epoch here, to see how long it takes."
)
@click.option(
    "--assume", metavar="NAME=VALUE", multiple=True, help="Another figure for an assumption of docs/plan.md."
)
@click.option(
    "--account", is_flag=True, help="Ask the account for role, bucket, image and quotas; needs credentials."
)
@backend_option
@engine_option
@set_option
@form_option("text", "json")
@store_option
@done_by("planning", "plan_spec")
def plan() -> None:
    """Say what a SPEC will take and cost, and what is wrong with it, before anything is started.

    Launches nothing and needs no credentials.
    """


@cli.command()
@spec_argument
@backend_option
@set_option
@done_by("checking", "check_spec")
def doctor() -> None:
    """Check the account for what a SPEC will need: credentials, role, bucket, image, quotas.

    Launches nothing. Exit status 1 when something is wrong.
    """


@cli.command()
@click.argument("spec", type=click.Path(), required=False)
@click.option("--stop", is_flag=True, help="Stop the jobs and end the warm pools that have no owner.")
@click.option("--experiment", metavar="NAME", help="Only this experiment; with --stop, also another's.")
@click.option("--yes", is_flag=True, help="Do not ask before stopping.")
@click.option("--backend", metavar="KIND", help="Look there only; of a SPEC, which of its backends.")
@click.option("--region", help="Where to look [default: $AWS_REGION, else the profile's].")
@click.option("--profile", help="As whom to look [default: by boto3's rules].")
@form_option("text", "json")
@store_option
@done_by("auditing", "audit_account")
def audit() -> None:
    """Show every job and warm pool of trialjob's: where SPEC runs, or else the experiments of the store.

    Exit status 0 when nothing runs (any more), 1 when something does, 2 when it cannot be told everywhere.
    """


@cli.command()
@click.argument("place", metavar="[FOLDER|PROGRAM]", type=click.Path(), default=".")
@click.option("--log", type=click.Path(), help="What the program once printed: its metrics are found there.")
@click.option(
    "-o", "--output", type=click.Path(), help="Where to write it [default: sweep.yaml in the folder]."
)
@click.option("--yes", is_flag=True, help="Ask nothing: take what was guessed.")
@done_by("init", "write_first_spec")
def init() -> None:
    """Write a first spec for the code in FOLDER, and say what comes next.

    Looks at the program's options, their defaults and what it prints, and runs nothing.
    """


@cli.command()
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="The file to be written.")
@done_by("schema", "print_schema")
def schema() -> None:
    """Print the JSON schema of a spec, with the kinds of every package that is installed.

    With -o FILE it is written, and the line is printed that goes to the top of a spec.
    """
