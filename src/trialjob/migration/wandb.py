"""Sweeps of Weights & Biases.

The file: https://docs.wandb.ai/guides/sweeps/sweep-config-keys
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from trialjob.migration import command
from trialjob.migration.domains import Domain, choice, exponents, integers, reals
from trialjob.migration.translation import UNSAID_TRIALS, Section, Translation, Wrong

#: W&B reads YAML 1.1, to which these are true and false where they stand without quotes.
WORDS: Final = {
    form: truth
    for word, truth in (("yes", True), ("no", False), ("on", True), ("off", False))
    for form in (word, word.capitalize(), word.upper())
}
_ABOUT: Final = ("name", "description", "project", "entity", "version", "$schema")
_PLACE: Final = re.compile(r"\$\{(\w+)\}")
_EPOCHS: Final = re.compile(r"(?:(?:n|num|max|total)_?)?(?:epochs?|steps|iterations)", re.IGNORECASE)
_METHODS: Final = {"random": "random", "grid": "grid", "bayes": "bayesian"}
#: Rungs above the first where nothing says how far a run goes.
_RUNGS: Final = 3


def is_sweep(document: Mapping[str, Any]) -> bool:
    return "parameters" in document and ("method" in document or "program" in document)


def translate(document: Mapping[str, Any]) -> Translation:
    """A spec from the configuration of a sweep."""
    into = Translation(product="W&B")
    sweep = Section(document, "", into)
    space, constants = _parameters(sweep.section("parameters"))
    metric = sweep.section("metric")
    method = sweep.text("method", "random")
    if method not in _METHODS:
        raise Wrong("method", method, "random, grid or bayes")
    into.spec = {
        "name": str(document.get("name") or document.get("project") or "sweep"),
        "estimator": _estimator(sweep, space, constants),
        "space": space,
        "objective": _objective(metric),
        "metrics_from": "wandb",
        "sampler": {"kind": _METHODS[method]},
        "stopping": _stopping(sweep.section("early_terminate"), space, constants),
        "limits": _limits(sweep, metric, method, space),
        "backend": {"kind": "local"},
    }
    metric.done()
    sweep.done(*_ABOUT)
    return into


def _estimator(sweep: Section, space: dict[str, Domain], constants: dict[str, Any]) -> dict[str, Any]:
    program = sweep.text("program", "train.py")
    words = sweep.take("command")
    if isinstance(words, str):
        words = command.split(words)
    estimator: dict[str, Any] = {
        "kind": "script",
        "source_dir": ".",
        "entry_point": program.removeprefix("./"),
    }
    if constants:
        estimator["hyperparameters"] = constants
    if words:
        estimator |= _command([str(word) for word in words], program, space | constants, sweep.into)
    return estimator


def _command(words: list[str], program: str, values: Mapping[str, Any], into: Translation) -> dict[str, Any]:
    found: list[str] = []
    for word in words:
        match word:
            case "${env}" | "/usr/bin/env":
                pass
            case "${interpreter}":
                found.append("python")
            case "${args}":
                found.append("{others}")
            case "${args_no_hyphens}":
                found.append("{others:key=value}")
            case "${args_no_boolean_flags}":
                found += [f"{{{name}:flag}}" for name, value in values.items() if _is_flag(value)] + [
                    "{others}"
                ]
            case "${args_json_file}":
                found.append("{values_file}")
            case "${args_json}":
                into.leave("command", "all values as one word: give the script a file of them, {values_file}")
                found.append("{values_file}")
            case _:
                found.append(_word(word, program, into))
    made = command.program(found)
    if made is None:
        into.leave("command", f"its program cannot be told ({' '.join(words)}): it is taken to be {program}")
        return {}
    return {"entry_point": made.entry_point, "arguments": made.arguments, **made.more}


def _word(word: str, program: str, into: Translation) -> str:
    def fill(place: re.Match[str]) -> str:
        if place.group(1) == "program":
            return program
        into.leave("command", f"{place.group()}: write its value")
        return "TODO"

    return command.template(word, _PLACE, fill)


def _is_flag(value: object) -> bool:
    values = value.get("values") if isinstance(value, Mapping) else [value]
    return isinstance(values, list) and all(isinstance(each, bool) for each in values)


# What is searched


def _parameters(given: Section) -> tuple[dict[str, Domain], dict[str, Any]]:
    """What is searched, and the constants."""
    space: dict[str, Domain] = {}
    constants: dict[str, Any] = {}
    for name in given:
        said = given.section(name)
        if "parameters" in said:
            _nested(name, said, space, constants)
            continue
        kind = said.text("distribution")
        if kind == "constant" or (not kind and "value" in said):
            constants[name] = said.take("value")
        else:
            space[name] = _domain(kind, said)
        said.done("value", "values")
    return space, constants


def _nested(name: str, said: Section, space: dict[str, Domain], constants: dict[str, Any]) -> None:
    inner_space, inner_constants = _parameters(said.section("parameters"))
    said.into.tell(said.where, f"a group there; here each has a name of its own that begins with {name}.")
    space |= {f"{name}.{inner}": domain for inner, domain in inner_space.items()}
    constants |= {f"{name}.{inner}": value for inner, value in inner_constants.items()}


def _domain(kind: str, said: Section) -> Domain:
    if "values" in said or kind.startswith("categorical"):
        values = said.items("values")
        said.leave("probabilities", "every value is as likely as another")
        return choice(values)
    kind = kind or _implied(said)
    whole, q = said.where, "q" if kind.startswith("q") else ""
    if kind in ("normal", "log_normal", "q_normal", "q_log_normal"):
        sized = {"mu": said.number("mu") or 0, "sigma": said.number("sigma") or 1}
        return {"type": q + ("lognormal" if "log" in kind else "normal"), **sized, **_step(kind, said)}
    if kind in ("beta", "q_beta"):
        said.leave("a", "no beta distribution: uniform between 0 and 1 instead")
        said.take("b")
        return reals(0.0, 1.0, whole)
    lower, upper = said.required("min"), said.required("max")
    match kind:
        case "int_uniform":
            return integers(lower, upper, whole)
        case "uniform" | "q_uniform":
            return _with_step(reals(lower, upper, whole, kind=f"{q}uniform"), kind, said)
        case "log_uniform_values" | "q_log_uniform_values":
            return _with_step(reals(lower, upper, whole, kind=f"{q}loguniform"), kind, said)
        case "log_uniform" | "q_log_uniform":
            said.into.tell(whole, f"exponents there, bounds here: {math.exp(lower):g} to {math.exp(upper):g}")
            return _with_step(exponents(lower, upper, whole, kind=f"{q}loguniform"), kind, said)
        case "inv_log_uniform" | "inv_log_uniform_values":
            # Where the logarithm of 1 / x is uniform, so is that of x.
            if kind == "inv_log_uniform_values":
                return reals(lower, upper, whole, kind="loguniform")
            said.into.tell(
                whole, f"exponents of 1 / x there, bounds here: {math.exp(-upper):g} to {math.exp(-lower):g}"
            )
            return exponents(-upper, -lower, whole, kind="loguniform")
        case _:
            raise Wrong(said.path("distribution"), kind, "a distribution of W&B")


def _implied(said: Section) -> str:
    bounds = [said.number("min"), said.number("max")]
    if None in bounds:
        return "normal" if "mu" in said else "uniform"
    return "int_uniform" if all(isinstance(each, int) for each in bounds) else "uniform"


def _with_step(domain: Domain, kind: str, said: Section) -> Domain:
    return domain | _step(kind, said) if "lower" in domain else domain


def _step(kind: str, said: Section) -> dict[str, Any]:
    return {"q": said.number("q") or 1} if kind.startswith("q") else {}


# What is wanted


def _objective(metric: Section) -> dict[str, Any]:
    name, mode = metric.text("name", "TODO"), metric.mode("goal", "minimize")
    if name == "TODO":
        metric.into.leave("metric.name", "there is none: write the metric that is to be optimised")
    metric.into.tell(
        "metric.name",
        f"{name} is read from what the script gives wandb.log (`metrics_from`); where it prints or reports "
        "it, leave that line out",
    )
    metric.into.tell("metric", "W&B goes by a run's summary, its last value, and so does `score: last`")
    return {"metric": name, "mode": mode, "score": "last"}


def _stopping(given: Section, space: Mapping[str, Domain], constants: Mapping[str, Any]) -> dict[str, Any]:
    kind = given.text("type")
    if not kind:
        return {"kind": "none"}
    if kind not in ("hyperband", "envelope"):
        raise Wrong(given.path("type"), kind, "hyperband")
    if kind == "envelope":
        given.leave("type", "that rule is not here: write one of `stopping`")
        return {"kind": "none"}
    eta = given.number("eta") or 3
    first, last, rungs = given.number("min_iter"), given.number("max_iter"), given.number("s")
    if last:
        first = max(1, int(last / eta ** (rungs or 1)))
        given.into.tell(
            given.path("max_iter"), "a run goes on behind it there; here it is complete and ended"
        )
    first = int(first or 1)
    if not last:
        last = next((each for each in _lengths(space, constants) if each > first), first * int(eta) ** _RUNGS)
        given.into.tell(given.where, f"how far a run goes is not said there; `max_resource` is {last}")
    if eta != int(eta):
        given.into.tell(given.path("eta"), f"whole numbers only; `reduction_factor` is {int(eta)}")
    given.leave("strict", "asha stops the hopeless at every rung anyway")
    given.into.tell(
        given.where, "an iteration is a call of wandb.log there; here it is what the script reports as epoch"
    )
    given.done()
    return {"kind": "asha", "min_resource": first, "reduction_factor": int(eta), "max_resource": int(last)}


def _lengths(space: Mapping[str, Domain], constants: Mapping[str, Any]) -> Iterator[int]:
    """How far the longest run goes, by each name for that; its end is not to come before its own."""
    for name, value in constants.items():
        if _EPOCHS.fullmatch(name) and isinstance(value, int):
            yield value
    for name, domain in space.items():
        longest = [each for each in domain.get("values", [domain.get("upper")]) if isinstance(each, int)]
        if _EPOCHS.fullmatch(name) and longest:
            yield max(longest) - (domain["type"] == "randint")


def _limits(sweep: Section, metric: Section, method: str, space: Mapping[str, Domain]) -> dict[str, Any]:
    trials = sweep.number("run_cap")
    if trials is None:
        values = [domain.get("values") for domain in space.values()]
        every = math.prod(len(each) for each in values if each)
        whole = method == "grid" and all(values)
        trials = every if whole else UNSAID_TRIALS
        why = "the whole grid" if whole else "agents there run until they are stopped"
        sweep.into.tell("run_cap", f"is not said; `max_trials` is {trials}: {why}")
    limits: dict[str, Any] = {"max_trials": int(trials)}
    target = metric.number("target")
    return limits | ({"target": target} if target is not None else {})
