"""Experiments of Katib (Kubeflow), the custom resource of ``kubeflow.org/v1beta1``.

The file: https://www.kubeflow.org/docs/components/katib/user-guides/hp-tuning/configure-experiment/
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from trialjob.migration import command
from trialjob.migration.domains import Domain, choice, integers, reals, stepped
from trialjob.migration.translation import Section, Translation, Wrong, number, settings, trials

_PLACE: Final = re.compile(r"\$\{trialParameters\.([^}]+)\}")
_SAMPLERS: Final = {
    "random": "random", "grid": "grid", "bayesianoptimization": "bayesian", "tpe": "tpe",
    "multivariate-tpe": "tpe", "cmaes": "cmaes", "sobol": "sobol", "hyperband": "random",
}  # fmt: skip


def is_experiment(document: Mapping[str, Any]) -> bool:
    return document.get("kind") == "Experiment" and "kubeflow" in str(document.get("apiVersion", "kubeflow"))


def translate(document: Mapping[str, Any]) -> Translation:
    """A spec from an Experiment."""
    into = Translation(product="Katib")
    whole = Section(document, "", into)
    about, experiment = whole.section("metadata"), whole.section("spec")
    algorithm, goal = experiment.section("algorithm"), experiment.section("objective")
    name = algorithm.text("algorithmName", "random")
    options = settings(algorithm.sections("algorithmSettings"))
    objective, metrics, target = _objective(goal, experiment.section("metricsCollectorSpec"))
    space = {each.text("name"): _domain(each) for each in experiment.sections("parameters")}
    if name not in _SAMPLERS:
        into.leave(algorithm.path("algorithmName"), f"{name} is not here: random search instead")
    estimator = _estimator(experiment.section("trialTemplate"))
    stopping = _hyperband(options, space, estimator, into) if name == "hyperband" else {}
    into.spec = {
        "name": about.text("name") or about.text("generateName").rstrip("-") or "sweep",
        "estimator": estimator,
        "space": space,
        "objective": objective,
        "metrics": metrics,
        "sampler": _sampler(name, options, into),
        "stopping": stopping or _stopping(experiment.section("earlyStopping")),
        "limits": _limits(experiment) | target,
        "backend": {"kind": "local"},
    }
    experiment.leave("nasConfig", "architectures are not searched here")
    algorithm.done()
    experiment.done("resumePolicy")
    whole.done("apiVersion", "kind", "status")
    return into


# What is searched


def _domain(said: Section) -> Domain:
    kind, space = said.text("parameterType"), said.section("feasibleSpace")
    said.done()
    if kind in ("categorical", "discrete"):
        values = space.items("list")
        if not values:
            raise Wrong(space.path("list"), values, "a list of values")
        space.done()
        # A discrete value is a number that is written as a text.
        return choice([number(each, space.where) for each in values] if kind == "discrete" else values)
    if kind not in ("int", "double"):
        raise Wrong(said.path("parameterType"), kind, "int, double, discrete or categorical")
    lower, upper, step = space.required("min"), space.required("max"), space.number("step")
    shape = space.text("distribution", "uniform")
    space.done()
    return _numbers(kind, shape, (lower, upper, step), space)


def _numbers(kind: str, shape: str, bounds: tuple[float, float, float | None], space: Section) -> Domain:
    lower, upper, step = bounds
    where = space.where
    if shape in ("normal", "logNormal"):
        space.into.leave(
            where, f"a {shape} within bounds is not here: {'log-' * (shape != 'normal')}uniform between them"
        )
    log = shape in ("logUniform", "logNormal")
    if step is not None and not log:
        return stepped(lower, upper, step, where)
    if kind == "int":
        if step not in (None, 1):
            space.into.leave(where, f"steps of {step} on a logarithmic scale: every whole number instead")
        return integers(lower, upper, where, log=log)
    if step is not None:
        return reals(lower, upper, where, kind="qloguniform") | {"q": step}
    return reals(lower, upper, where, kind="loguniform" if log else "uniform")


# What is run


def _estimator(template: Section) -> dict[str, Any]:
    parameters = {each.text("name"): each.text("reference") for each in template.sections("trialParameters")}
    job = template.section("trialSpec")
    container = _container(job, template.text("primaryContainerName"))
    template.done("retain", "primaryPodLabels", "successCondition", "failureCondition", "configMap")

    def fill(found: re.Match[str]) -> str:
        name = parameters.get(found.group(1), found.group(1))
        if name.startswith("${"):
            template.into.leave(
                template.path("trialParameters"), f"{name}: only what is searched is filled in"
            )
            return "TODO"
        return f"{{{name}}}"

    estimator: dict[str, Any] = {"kind": "container", "image_uri": container.text("image")}
    template.into.tell(
        container.where, "on this machine its command is run as it is, without the image; see `backend`"
    )
    for ours, theirs in (("entrypoint", "command"), ("arguments", "args")):
        words = [command.template(str(word), _PLACE, fill) for word in container.items(theirs)]
        if words:
            estimator[ours] = words
    environment = {}
    for row in container.sections("env"):
        if "value" in row:
            environment[row.text("name")] = row.text("value")
        row.done("name", "value")
    if environment:
        estimator["environment"] = environment
    container.leave("resources", "machines are said in `backend`")
    container.done("name", "imagePullPolicy")
    return estimator


def _container(job: Section, primary: str) -> Section:
    """The container that trains, of whatever kind of job."""
    kind, spec = job.text("kind", "Job"), job.section("spec")
    replicas = next((each for each in spec if each.lower().endswith("replicaspecs")), None)
    if replicas is not None:
        rows = spec.section(replicas)
        leader = next((each for each in ("Master", "Chief", "Launcher", "Worker") if each in rows), None)
        pod = rows.section(leader or "Worker")
        others = [each for each in rows if each != leader]
        if others:
            job.into.leave(
                rows.where,
                f"{kind} of several pods ({', '.join(others)}): one of them here; see `distribution`",
            )
        pods = pod.section("template").section("spec")
    else:
        pods = spec.section("template").section("spec")
    containers = pods.sections("containers")
    if not containers:
        raise Wrong(pods.path("containers"), [], "a list with the container that trains")
    pods.done("restartPolicy")
    found = next((each for each in containers if each.take("name") == primary), containers[0])
    if len(containers) > 1:
        job.into.leave(pods.path("containers"), "only the primary one is run")
    return found


# What is wanted


def _objective(
    goal: Section, collector: Section
) -> tuple[dict[str, Any], list[dict[str, str]], dict[str, Any]]:
    """The objective, the metrics, and the target, if there is one."""
    name, mode = goal.text("objectiveMetricName"), goal.mode("type")
    target = goal.number("goal")
    objective: dict[str, Any] = {"metric": name, "mode": mode}
    for row in goal.sections("metricStrategies"):
        if row.text("name") != name:
            continue
        if row.text("value") == "latest":
            objective["score"] = "last"
        elif row.text("value") != mode:
            row.leave("value", "no score is a trial's worst value: it is the best one")
    names = [name, *(str(each) for each in goal.items("additionalMetricNames"))]
    goal.done()
    kind = collector.section("collector").text("kind", "StdOut")
    if kind != "StdOut":
        collector.into.leave(collector.where, f"metrics come by {kind} there; here they are lines of the log")
    elif "source" in collector:
        collector.leave("source", "a format of their own: try the regexes by `trialjob check-metrics`")
    patterns = [
        {"name": each, "regex": rf"(?<![\w|-]){re.escape(each)}\s*=\s*({{number}})"} for each in names
    ]
    # What stands before the objective on its line or above it is reported with it.
    return objective, [*patterns[1:], patterns[0]], {} if target is None else {"target": target}


def _sampler(name: str, options: dict[str, str], into: Translation) -> dict[str, Any]:
    kind = _SAMPLERS.get(name, "random")
    sampler: dict[str, Any] = {"kind": kind}
    seed = options.pop("random_state", options.pop("seed", None))
    if seed is not None and kind != "grid":
        sampler["seed"] = int(number(seed, "algorithmSettings.random_state"))
    startup = options.pop("n_startup_trials", None)
    if startup is not None and kind == "tpe":
        sampler["n_startup_trials"] = int(number(startup, "algorithmSettings.n_startup_trials"))
    for option, value in options.items():
        into.leave(f"spec.algorithm.algorithmSettings.{option}", f"no counterpart ({value})")
    return sampler


def _hyperband(
    options: dict[str, str], space: dict[str, Domain], estimator: dict[str, Any], into: Translation
) -> dict[str, Any]:
    most = int(number(options.pop("r_l", "27"), "algorithmSettings.r_l"))
    eta = int(number(options.pop("eta", "3"), "algorithmSettings.eta"))
    resource = options.pop("resource_name", None)
    if resource in space:
        del space[resource]
        estimator.setdefault("hyperparameters", {})[resource] = most
        into.tell(
            "spec.algorithm",
            f"the budget is no hyperparameter here: {resource} is {most} for all, the rule ends a trial at "
            "its rung, and the script is told in TRIALJOB_MAX_RESOURCE how far it may go",
        )
    return {"kind": "hyperband", "max_resource": most, "reduction_factor": eta}


def _stopping(given: Section) -> dict[str, Any]:
    name = given.text("algorithmName")
    if not name:
        return {"kind": "none"}
    if name != "medianstop":
        given.leave("algorithmName", "that rule is not here: write one of `stopping`")
        return {"kind": "none"}
    options = settings(given.sections("algorithmSettings"))
    start = int(number(options.pop("start_step", "4"), given.path("algorithmSettings.start_step")))
    for option, value in options.items():
        given.into.leave(given.path(f"algorithmSettings.{option}"), f"no counterpart ({value})")
    given.done()
    return {"kind": "median", "variant": "vizier", "delay_evaluation": start}


def _limits(experiment: Section) -> dict[str, Any]:
    failures = experiment.number("maxFailedTrialCount")
    limits: dict[str, Any] = {
        "max_trials": trials(experiment, "maxTrialCount"),
        "max_concurrent_trials": int(experiment.number("parallelTrialCount") or 3),
    }
    if failures is not None:
        limits["max_failures"] = int(failures) + 1
        experiment.into.tell(
            "spec.maxFailedTrialCount",
            f"so many may fail there; here it is how many end it: {int(failures) + 1}",
        )
    return limits
