"""Sweep jobs of Azure Machine Learning, as its CLI and SDK v2 write them.

The file: https://learn.microsoft.com/azure/machine-learning/reference-yaml-job-sweep
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from trialjob.migration import command
from trialjob.migration.domains import Domain, choice, exponents, reals
from trialjob.migration.translation import Section, Translation, Wrong, shown, trials

_PLACE: Final = re.compile(r"\$\{\{\s*(search_space|inputs|outputs)\.([A-Za-z_][\w]*)[^}]*\}\}")
_ABOUT: Final = (
    "$schema", "type", "display_name", "experiment_name", "description", "tags", "properties", "name",
)  # fmt: skip
#: What is neither a folder here nor in S3.
_ELSEWHERE: Final = re.compile(r"(?!s3:)[a-z][a-z0-9+.-]*:", re.IGNORECASE)


def is_sweep(document: Mapping[str, Any]) -> bool:
    return document.get("type") == "sweep" or {"search_space", "sampling_algorithm"} <= document.keys()


def translate(document: Mapping[str, Any]) -> Translation:
    """A spec from a sweep job."""
    into = Translation(product="Azure ML")
    job = Section(document, "", into)
    name = job.take("experiment_name") or job.take("display_name") or job.take("name") or "sweep"
    into.spec = {
        "name": str(name),
        "estimator": _estimator(job),
        "space": _space(job.take("search_space"), into),
        "objective": _objective(job.section("objective")),
        "metrics_from": "mlflow",
        "sampler": _sampler(job.take("sampling_algorithm", "random"), into),
        "stopping": _stopping(job.section("early_termination")),
        "limits": _limits(job.section("limits")),
        "backend": {"kind": "local"},
    }
    for word, why in (
        ("compute", "say in `backend` where jobs run"),
        ("resources", "machines are said in `backend`"),
    ):
        job.leave(word, why)
    job.done(*_ABOUT)
    return into


def _estimator(job: Section) -> dict[str, Any]:
    trial, inputs = job.section("trial"), job.section("inputs")
    estimator: dict[str, Any] = {"kind": "script", "source_dir": trial.text("code", ".")}
    constants, channels = _inputs(inputs)

    def fill(found: re.Match[str]) -> str:
        source, name = found.groups()
        if source == "outputs":
            return "{output_dir}"
        return f"{{channel:{name}}}" if source == "inputs" and name in channels else f"{{{name}}}"

    estimator |= _program(trial, fill)
    if constants:
        estimator["hyperparameters"] = constants
    variables = trial.take("environment_variables")
    if variables:
        estimator["environment"] = {name: str(value) for name, value in variables.items()}
    if channels:
        estimator["inputs"] = channels
    distribution = trial.section("distribution")
    kind = distribution.text("type").lower()
    if kind == "pytorch":
        estimator["distribution"] = "torchrun"
        processes = distribution.number("process_count_per_instance")
        if processes:
            estimator["processes"] = processes
    elif kind:
        job.into.leave(distribution.where, f"only PyTorch's processes are started here ({kind})")
    trial.leave("environment", "say the image in `estimator.image_uri`, or install here what it holds")
    trial.leave("resources", "machines are said in `backend`")
    trial.done()
    job.take("outputs")
    return estimator


def _program(trial: Section, fill: Callable[[re.Match[str]], str]) -> dict[str, Any]:
    line = trial.text("command")
    words = command.split(_PLACE.sub(lambda found: re.sub(r"\s", "", found.group()), line))
    found = command.program([command.template(word, _PLACE, fill) for word in words]) if words else None
    if found is None:
        trial.into.leave(
            trial.path("command"),
            f"not one program with its words ({shown(line)}): put it into a script of its own, main.sh, and "
            "write its words in `estimator.arguments`",
        )
        return {"entry_point": "main.sh"}
    return {"entry_point": found.entry_point, "arguments": found.arguments, **found.more}


def _inputs(inputs: Section) -> tuple[dict[str, Any], dict[str, Any]]:
    """Constants, and channels."""
    constants, channels = {}, {}
    for name in inputs:
        value = inputs.take(name)
        if not isinstance(value, Mapping):
            constants[name] = value
            continue
        path = str(value.get("path", ""))
        if _ELSEWHERE.match(path):
            inputs.into.leave(
                inputs.path(name), f"{path} is not read here: copy it, and write where to it was copied"
            )
            path = f"./{name}"
        channels[name] = path
    return constants, channels


# What is searched


def _space(given: object, into: Translation) -> dict[str, Domain]:
    if isinstance(given, list) and given:
        for at in range(1, len(given)):
            into.leave(f"search_space[{at}]", "alternative spaces: a spec of its own for each of them")
        given = given[0]
    space = Section(given, "search_space", into)
    return {name: _domain(space, name) for name in space}


def _domain(space: Section, name: str) -> Domain:
    said = space.take(name)
    where = space.path(name)
    if not isinstance(said, Mapping):
        return choice(list(said)) if isinstance(said, list) else choice([said])
    domain = Section(said, where, space.into)
    kind = domain.text("type")
    found = _choice(domain) if kind == "choice" else _numbers(kind, domain)
    domain.done("type")
    return found


def _choice(domain: Section) -> Domain:
    values = domain.take("values")
    if isinstance(values, str):
        values = [_literal(each) for each in values.split(",")]
    if not isinstance(values, list) or not values:
        raise Wrong(domain.path("values"), values, "a list of values")
    plain = []
    for at, each in enumerate(values):
        if not _is_space(each):
            plain.append(each)
        else:
            domain.into.leave(
                f"{domain.path('values')}[{at}]",
                "a space of its own: name the alternatives, with their spaces below the names (docs/spec.md, "
                "`space`); a name that differs between them needs a spec for each",
            )
    return choice(plain or ["TODO"])


def _is_space(value: object) -> bool:
    """Whether a value of a choice is a space by itself: some part of it is a domain."""
    return isinstance(value, Mapping) and any(
        isinstance(part, Mapping) and "type" in part for part in value.values()
    )


def _literal(text: str) -> Any:  # noqa: ANN401 - a value of any type
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text.strip().strip("'\"")


def _numbers(kind: str, domain: Section) -> Domain:
    where = domain.where
    if kind == "randint":
        return {
            "type": "randint",
            "lower": int(domain.number("lower") or 0),
            "upper": int(domain.required("upper")),
        }
    if kind in ("normal", "lognormal", "qnormal", "qlognormal"):
        sized = {"mu": domain.required("mu"), "sigma": domain.required("sigma")}
        return {"type": kind, **sized, **({"q": domain.required("q")} if kind.startswith("q") else {})}
    if kind not in ("uniform", "loguniform", "quniform", "qloguniform"):
        raise Wrong(domain.path("type"), kind, "a domain of Azure ML")
    lower, upper = domain.required("min_value"), domain.required("max_value")
    if "log" in kind:
        found = exponents(lower, upper, where, kind=kind)
        if "lower" in found:
            domain.into.tell(where, f"exponents there, bounds here: {found['lower']:g} to {found['upper']:g}")
    else:
        found = reals(lower, upper, where, kind=kind)
    return found | {"q": domain.required("q")} if kind.startswith("q") and "lower" in found else found


# What is wanted


def _objective(objective: Section) -> dict[str, Any]:
    mode, metric = objective.mode("goal"), objective.text("primary_metric")
    objective.into.tell(
        objective.path("primary_metric"),
        f"{metric} is read from what the script logs to MLflow (`metrics_from`); where it prints or reports "
        "it, leave that line out",
    )
    objective.done()
    return {"metric": metric, "mode": mode}


def _sampler(given: object, into: Translation) -> dict[str, Any]:
    said = Section({"type": given} if isinstance(given, str) else given, "sampling_algorithm", into)
    kind = said.text("type", "random")
    seed = said.number("seed")
    rule = said.text("rule", "random")
    said.leave("logbase", "bounds are written as they are here")
    said.done("type")
    if kind not in ("random", "grid", "bayesian"):
        raise Wrong(said.path("type"), kind, "random, grid or bayesian")
    found: dict[str, Any] = {"kind": "sobol" if kind == "random" and rule == "sobol" else kind}
    return found | ({"seed": seed} if seed is not None and kind != "grid" else {})


def _stopping(policy: Section) -> dict[str, Any]:
    kinds = {"bandit": "bandit", "median_stopping": "median", "truncation_selection": "truncation"}
    kind = policy.text("type")
    if not kind:
        return {"kind": "none"}
    if kind not in kinds:
        raise Wrong(policy.path("type"), kind, "bandit, median_stopping or truncation_selection")
    found: dict[str, Any] = {"kind": kinds[kind]}
    words = ["evaluation_interval", "delay_evaluation"]
    words += {"bandit": ["slack_factor", "slack_amount"], "truncation": ["truncation_percentage"]}.get(
        found["kind"], []
    )
    for word in words:
        value = policy.number(word)
        # A 0 is how Azure's SDK writes that a slack, or an interval, is left out.
        if value:
            found[word] = value
    if policy.take("exclude_finished_jobs"):
        found["exclude_finished_jobs"] = True
    policy.done()
    return found


def _limits(limits: Section) -> dict[str, Any]:
    found: dict[str, Any] = {"max_trials": trials(limits, "max_total_trials")}
    together = limits.number("max_concurrent_trials")
    if together:
        found["max_concurrent_trials"] = min(int(together), found["max_trials"])
    for word in ("timeout", "trial_timeout"):
        seconds = limits.number(word)
        if seconds:
            found[word] = f"{seconds}s"
    limits.done()
    return found
