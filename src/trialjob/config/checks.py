"""What the values of a spec must be together. Each check reads the sections it names and no others.

Rule: a check is made whenever its own sections are sound, so that one mistake does not hide another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from trialjob.backends import hooks
from trialjob.config.argument_checks import text_problems, word_problems
from trialjob.config.estimator_checks import (
    argument_problems,
    backend_problems,
    environment_problems,
    file_problems,
    hyperparameter_problems,
    overlap_problems,
    program_here_problems,
)
from trialjob.config.files import kind_of, listed
from trialjob.config.metric_sources import elsewhere_problems, metric_problems
from trialjob.config.notify import notify_problems
from trialjob.config.paths import problem_at, shown
from trialjob.config.space import DomainSpec, space_of
from trialjob.config.space_checks import all_names, point_problems, space_problems
from trialjob.config.spec import (
    EngineSpec,
    LimitsSpec,
    MetricSpec,
    ObjectiveSpec,
    OnLogSpec,
)
from trialjob.errors import Problem
from trialjob.logs.ambiguity import runaway_text
from trialjob.logs.metrics import compiled, expand
from trialjob.logs.on_log import nests_repeats
from trialjob.model.ids import experiment_name_problem
from trialjob.model.paths import nearest
from trialjob.orchestrator.core.search import BaseRule, BaseSampler, Search, warm_start_of
from trialjob.orchestrator.samplers import SAMPLERS
from trialjob.orchestrator.stopping import RULES

#: What mends a pattern that is none, mostly.
_ESCAPED: Final = r"correct it; a bracket or a star of the log itself is written \(, \[ or \*"


def _name(name: str) -> Iterator[Problem]:
    wrong = experiment_name_problem(name)
    if wrong:
        yield problem_at(("name",), f"{shown(name)} {wrong}", "write a name such as digits-1")


def _engine(engine: EngineSpec) -> Iterator[Problem]:
    given = {"until_convergence": engine.until_convergence, "warm_start": engine.warm_start}
    for key, value in given.items() if engine.kind == "trialjob" else ():
        if value:
            own = "; trialjob's own word is sampler.warm_start" if key == "warm_start" else ""
            remedy = f"write engine.kind: hosted, or remove it{own}"
            yield problem_at(
                ("engine", key), f"{shown(value)} means nothing to trialjob's own search", remedy
            )


def _space(space: Mapping[str, DomainSpec]) -> Iterator[Problem]:
    if not space:
        yield problem_at(("space",), "{} is empty", "name at least one hyperparameter to search")
    for path, name in all_names(space):
        yield from argument_problems(path, name)
    yield from space_problems(space)


def _objective(objective: ObjectiveSpec) -> Iterator[Problem]:
    for key in ("metric", "resource"):
        if not getattr(objective, key):
            yield problem_at(("objective", key), '"" is empty', "write the name of a metric")
    if objective.metric == objective.resource:
        message = f"{shown(objective.metric)} is also the resource, which counts progress"
        remedy = "name another metric, or set objective.resource to what counts progress"
        yield problem_at(("objective", "metric"), message, remedy)
    taken = {objective.metric, objective.resource}
    for place, other in enumerate(objective.others):
        if not other.metric or other.metric in taken:
            wrong = "is named before" if other.metric else "is empty"
            remedy = "name another metric, or leave it out"
            yield problem_at(
                ("objective", "others", place, "metric"), f"{shown(other.metric)} {wrong}", remedy
            )
        taken.add(other.metric)


def _others(objective: ObjectiveSpec, sampler: BaseSampler) -> Iterator[Problem]:
    if objective.others and not sampler.several_objectives:
        able = ", ".join(sorted(kind for kind in SAMPLERS.builtin() if SAMPLERS.own(kind).several_objectives))
        message = f"the sampler {sampler.kind!r} learns from one objective only"
        yield problem_at(("objective", "others"), message, f"use a sampler of {able}; or leave others out")


def _repeat_over(repeat_over: str | None, space: Mapping[str, DomainSpec]) -> Iterator[Problem]:
    names = [name for _, name in all_names(space)]
    if repeat_over is not None and repeat_over not in names:
        yield problem_at(
            ("repeat_over",), f"{shown(repeat_over)} is not in the space", nearest(repeat_over, names)
        )


def _metrics(metrics: tuple[MetricSpec, ...]) -> Iterator[Problem]:
    names: set[str] = set()
    for place, metric in enumerate(metrics):
        if not metric.name or metric.name in names:
            wrong = "is defined twice" if metric.name else "is empty"
            yield problem_at(
                ("metrics", place, "name"), f"{shown(metric.name)} {wrong}", "give each its own name"
            )
        names.add(metric.name)
        yield from _regex(("metrics", place, "regex"), metric.regex)


def _regex(path: tuple[str | int, ...], regex: str) -> Iterator[Problem]:
    try:
        groups = compiled(expand(regex)).groups
    except ValueError as error:
        yield problem_at(path, f"{shown(regex)} is no regular expression: {error}", _ESCAPED)
        return
    if not groups:
        remedy = "put the number in a group: loss=({number})"
        yield problem_at(path, f"{shown(regex)} has no group", remedy)


def runaway_problems(metrics: tuple[MetricSpec, ...], on_log: tuple[OnLogSpec, ...]) -> Iterator[Problem]:
    """The regexes that never come to an end on some line.

    Only new ones are checked: an experiment that was begun before goes on as it began.
    """
    for place, metric in enumerate(metrics):
        yield from _runaway(("metrics", place, "regex"), metric.regex, expand(metric.regex))
    for place, rule in enumerate(on_log):
        yield from _runaway(("on_log", place, "match"), rule.match, rule.match)


def _runaway(path: tuple[str | int, ...], written: str, regex: str) -> Iterator[Problem]:
    if text := runaway_text(regex):
        line = shown(text * max(2, 12 // len(text)))
        message = (
            f"{shown(written)} may take for ever on a line with {line}, which its repeat reads in many ways"
        )
        yield problem_at(path, message, r"let each turn of a repeat end in one way only, as (\w+=\d+ )* does")


def _endless(path: tuple[str | int, ...], regex: str) -> Problem:
    message = f"{shown(regex)} has a repeat within a repeat, which may take for ever on a line"
    return problem_at(path, message, "repeat only the outer or the inner one")


def _on_log(on_log: tuple[OnLogSpec, ...]) -> Iterator[Problem]:
    known: set[str] = set()
    for place, rule in enumerate(on_log):
        path = ("on_log", place, "match")
        try:
            matches_all = compiled(rule.match).search("") is not None
        except ValueError as error:
            yield problem_at(path, f"{shown(rule.match)} is no regular expression: {error}", _ESCAPED)
            continue
        if matches_all:
            yield problem_at(
                path, f"{shown(rule.match)} is found in every line", "write what only some lines have"
            )
        if nests_repeats(rule.match):
            yield _endless(path, rule.match)
        if rule.match in known:
            yield problem_at(path, f"{shown(rule.match)} is defined twice", "remove one of the two")
        known.add(rule.match)


def _limits(limits: LimitsSpec) -> Iterator[Problem]:
    if limits.max_concurrent_trials > limits.max_trials:
        message = f"{limits.max_concurrent_trials} is more than limits.max_trials, {limits.max_trials}"
        yield problem_at(("limits", "max_concurrent_trials"), message, f"write at most {limits.max_trials}")


def _gain(objective: ObjectiveSpec, limits: LimitsSpec) -> Iterator[Problem]:
    path = ("limits", "min_gain_per_dollar")
    if limits.min_gain_per_dollar is None:
        return
    if objective.others:
        yield problem_at(
            path, "goes by one objective, and there are several", "remove objective.others, or it"
        )


def _own(section: BaseSampler | BaseRule) -> Iterator[Problem]:
    """What a plugin finds wrong with its own values."""
    yield from _found_by(section, "problems")


def _search(
    sampler: BaseSampler,
    stopping: BaseRule,
    space: Mapping[str, DomainSpec],
    objective: ObjectiveSpec,
    limits: LimitsSpec,
) -> Iterator[Problem]:
    """What the two halves of a search find wrong beside each other and the rest."""
    with suppress(ValueError):
        search = Search(
            space=space_of(space),
            objective=objective.to_objective(),
            limits=limits.to_limits(),
            sampler=sampler,
            stopping=stopping,
        )
        yield from _found_by(sampler, "problems_with", search)
        yield from _found_by(stopping, "problems_with", search)


def _found_by(section: BaseSampler | BaseRule, method: str, *given: Search) -> Iterator[Problem]:
    """What a section says is wrong. Raises PluginError for a package's that says nothing of the kind."""
    who = (SAMPLERS if isinstance(section, BaseSampler) else RULES).described(type(section))
    with hooks.blamed(who, method):
        found = [*getattr(section, method)(*given)]
    for each in found:
        if not isinstance(each, Problem):
            raise hooks.wrong(who, method, each, "Problems")
    yield from found


def _warm_start(sampler: BaseSampler) -> Iterator[Problem]:
    for place, source in enumerate(warm_start_of(sampler)):
        wrong = None if source.endswith(".csv") else experiment_name_problem(source)
        if wrong:
            remedy = "write the name of an experiment, or the path of a .csv file"
            yield problem_at(("sampler", "warm_start", place), f"{shown(source)} {wrong}", remedy)


def _tables(sampler: BaseSampler) -> Iterator[Problem]:
    for place, source in enumerate(warm_start_of(sampler)):
        if source.endswith(".csv") and kind_of(Path(source)) != "file":
            remedy = f"in {Path(source).parent} there is: {listed(Path(source).parent)}"
            yield problem_at(("sampler", "warm_start", place), f"{shown(source)} is no file", remedy)


Check = Callable[..., Iterator[Problem]]

#: Each check and the sections that it is given.
CHECKS: tuple[tuple[Check, tuple[str, ...]], ...] = (
    (_name, ("name",)),
    (_engine, ("engine",)),
    (hyperparameter_problems, ("estimator",)),
    (environment_problems, ("estimator",)),
    (_space, ("space",)),
    (overlap_problems, ("estimator", "space")),
    (_objective, ("objective",)),
    (_others, ("objective", "sampler")),
    (_repeat_over, ("repeat_over", "space")),
    (_metrics, ("metrics",)),
    (elsewhere_problems, ("metrics_from", "estimator")),
    (_on_log, ("on_log",)),
    (_own, ("sampler",)),
    (_warm_start, ("sampler",)),
    (point_problems, ("points_to_evaluate", "space")),
    (_own, ("stopping",)),
    (_search, ("sampler", "stopping", "space", "objective", "limits")),
    (_limits, ("limits",)),
    (_gain, ("objective", "limits")),
    (backend_problems, ("estimator", "backend")),
    (word_problems, ("estimator", "space")),
    (text_problems, ("estimator",)),
    (notify_problems, ("notify",)),
)
#: Those that look at this machine's files.
FILE_CHECKS: tuple[tuple[Check, tuple[str, ...]], ...] = (
    (file_problems, ("estimator",)),
    (program_here_problems, ("estimator", "backend")),
    (_tables, ("sampler",)),
    (metric_problems, ("estimator", "objective", "metrics", "metrics_from")),
)
