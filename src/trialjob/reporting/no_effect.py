"""Whether a hyperparameter seems to make no difference at all, as when the script does not read it.

Rule 1: only what is the same to the last digit counts. That a hyperparameter matters little is no reason
for a warning, and statistics on few trials would find that of most.
Rule 2: a hyperparameter is judged by trials that differ in nothing else, however the others matter.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from operator import xor
from typing import TypeAlias

from trialjob.model.json import Json, canonical_json
from trialjob.model.trial import TrialStatus
from trialjob.orchestrator.core.trial import Trial
from trialjob.reporting.terminal import clean

#: So many different configurations, all alike, are no accident.
_ALIKE = 5
#: So many comparisons of two trials, and values that were the same in them.
_PAIRS, _VALUES = 3, 6

_Curve: TypeAlias = Mapping[float, float]


def without_effect(trials: Iterable[Trial]) -> list[str]:
    """A sentence for each hyperparameter, or for all of them together, that seems to have no effect."""
    judged = [trial for trial in trials if len(trial.curve) and trial.status is not TrialStatus.FAILED]
    configs = [{name: _text(value) for name, value in trial.config.items()} for trial in judged]
    curves: list[_Curve] = [dict(trial.curve) for trial in judged]
    if len({tuple(config.items()) for config in configs}) >= _ALIKE and all(
        _alike(curves[0], curve) for curve in curves[1:]
    ):
        alike = f"all {len(judged)} trials have reported the very same values, whatever their configuration"
        return [f"{alike}; does the script read its hyperparameters, and is the metric the right one?"]
    names = dict.fromkeys(name for config in configs for name in config)
    # Where every trial has a value of its own, no two trials differ in something else alone.
    unique = {name for name in names if len({config.get(name) for config in configs}) == len(configs)}
    marks = [_mark(config) for config in configs]
    found = []
    for name in names:
        if unique <= {name}:
            pairs = _pairs(name, configs, marks, curves)
            if pairs >= _PAIRS:
                found.append(
                    f"{clean(name)} seems to have no effect: in {pairs} comparisons of trials that differ in "
                    "it alone, all values were the very same; does the script read it?"
                )
    return found


def _text(value: Json) -> str:
    """Another text for each value; that of a number is quickly made."""
    return repr(value) if isinstance(value, int | float) else canonical_json(value)


def _mark(config: Mapping[str, str]) -> int:
    """A number for a configuration, out of which any part can be taken again."""
    return reduce(xor, map(hash, config.items()), 0)


def _pairs(
    name: str, configs: Sequence[Mapping[str, str]], marks: Sequence[int], curves: Sequence[_Curve]
) -> int:
    """How many trials there are beside others that differ in ``name`` alone; 0 when one of them differs."""
    groups: dict[int, list[int]] = defaultdict(list)
    for place, config in enumerate(configs):
        if name in config:
            groups[marks[place] ^ hash((name, config[name]))].append(place)
    pairs = values = 0
    distinct = set()
    for first, *others in groups.values():
        for place in others:
            if configs[place][name] == configs[first][name]:
                continue  # the same again
            if not _differ_in(name, configs[first], configs[place]):
                continue
            if not _alike(curves[first], curves[place]):
                return 0
            pairs += 1
            values += len(curves[first].keys() & curves[place].keys())
        if others:
            distinct.add(tuple(sorted(curves[first].items())))
    # When nothing else makes a difference either, the metric may be all that is wrong.
    return pairs if values >= _VALUES and len(distinct) > 1 else 0


def _differ_in(name: str, one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    return one.keys() == other.keys() and all((one[key] != other[key]) is (key == name) for key in one)


def _alike(one: _Curve, other: _Curve) -> bool:
    """The same values wherever both have one, and somewhere both have."""
    common = one.keys() & other.keys()
    return bool(common) and all(repr(one[level]) == repr(other[level]) for level in common)
