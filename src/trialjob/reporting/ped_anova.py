"""PED-ANOVA: how differently the best trials, and all of them, are spread over a hyperparameter's values.

By Watanabe, Bansal and Hutter (arXiv 2304.10255), and for hyperparameters that not every trial has, or not
with the same bounds, in the form for such spaces (arXiv 2601.20800). Its constants are those of Optuna's
evaluator, to which a test holds it: that one loads scikit-learn, which takes as long as half a report.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from trialjob.model.json import Json, canonical_json
from trialjob.model.space import Domain
from trialjob.reporting.domain_spans import Options, Span, span_of

#: An interval is looked at in so many cells, fewer where it has fewer values.
_CELLS = 50
#: The prior says that all cells are alike, and counts as much as one trial.
_PRIOR = 1.0
#: Fewer trials with the same span say nothing.
_FEWEST = 2
#: A kernel is at least so many cells wide: 90 % of it is then in its own cell.
_NARROWEST = 0.5 / 1.64
_NEVER_ZERO = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A trial: its loss, and of each hyperparameter that it has the span and the cell of its value."""

    loss: float
    places: Mapping[str, tuple[Span, int]]


def shares(trials: Sequence[Seen], best: float) -> dict[str, float]:
    """A share of 1 for each hyperparameter; ``best`` is the share of the trials that are beside all."""
    limit = sorted(trial.loss for trial in trials)[math.ceil(best * len(trials)) - 1]
    among_all: defaultdict[str, defaultdict[Span, Counter[int]]] = defaultdict(lambda: defaultdict(Counter))
    among_best: defaultdict[str, defaultdict[Span, Counter[int]]] = defaultdict(lambda: defaultdict(Counter))
    for trial in trials:
        for name, (span, cell) in trial.places.items():
            among_all[name][span][cell] += 1
            if trial.loss <= limit:
                among_best[name][span][cell] += 1
    found = {
        name: sum(_weighted(span, every, among_best[name][span]) for span, every in spans.items())
        for name, spans in among_all.items()
    }
    whole = sum(found.values())
    return {name: value / whole if whole else 1 / len(found) for name, value in found.items()}


def place_of(domain: Domain, value: Json) -> tuple[Span, int]:
    """What the domain spans, and in which cell of that the value is."""
    span = span_of(domain, value)
    if isinstance(span, Options):
        return span, span.texts.index(canonical_json(value))
    low, high, number = span.low, span.high, float(str(value))
    if span.log:
        low, high, number = math.log(low), math.log(high), math.log(number)
    last = _cells(span) - 1
    cell = math.ceil((number - low) / ((high - low) / last) - 0.5) if last else 0
    return span, min(max(cell, 0), last)


def _cells(span: Span) -> int:
    if isinstance(span, Options):
        return len(span.texts)
    if span.low == span.high:
        return 1
    if span.whole and span.log:
        return min(math.ceil(math.log(span.high - span.low + 1) / math.log(2)) + 1, _CELLS)
    return min(round((span.high - span.low) / span.step) + 1, _CELLS) if span.step else _CELLS


def _weighted(span: Span, every: Counter[int], best: Counter[int]) -> float:
    """The divergence among trials with this span, as much as these weigh among the best and among all."""
    if every.total() < _FEWEST or not best or _cells(span) == 1:
        return 0.0
    density = _of_options if isinstance(span, Options) else _of_interval
    pairs = zip(density(every, _cells(span)), density(best, _cells(span)), strict=True)
    divergence = sum((few - many) ** 2 / (many + _NEVER_ZERO) for many, few in pairs)
    return float(best.total() * best.total() / every.total() * divergence)


def _of_options(counts: Counter[int], cells: int) -> list[float]:
    """Around each option that was seen a kernel that gives the others a little, and the prior."""
    total, little = counts.total(), _PRIOR / (len(counts) + 1)
    kernels = ((total * little + counts[cell]) / (cells * little + 1) for cell in range(cells))
    return [(kernel + _PRIOR / cells) / (total + _PRIOR) for kernel in kernels]


def _of_interval(counts: Counter[int], cells: int) -> list[float]:
    """Around each cell that was seen a normal kernel, cut off at the ends, and a wide one as the prior."""
    total = counts.total()
    kernels = [(float(cell), _width(counts), float(count)) for cell, count in counts.items()]
    kernels.append(((cells - 1) / 2, float(cells), _PRIOR))
    density = [0.0] * cells
    for middle, width, weight in kernels:
        below = [math.erf((edge - 0.5 - middle) / width / math.sqrt(2)) for edge in range(cells + 1)]
        part = weight / (total + _PRIOR) / (below[-1] - below[0])
        for cell in range(cells):
            density[cell] += part * (below[cell + 1] - below[cell])
    return density


def _width(counts: Counter[int]) -> float:
    """By Scott's rule, from the standard deviation or the distance of the quartiles, whichever is less."""
    total, cells = counts.total(), sorted(counts)
    mean = sum(cell * counts[cell] for cell in cells) / total
    deviation = math.sqrt(sum((cell - mean) ** 2 * counts[cell] for cell in cells) / max(1, total - 1))
    upto = list(accumulate(counts[cell] for cell in cells))
    first = next(cell for cell, count in zip(cells, upto, strict=True) if count >= total // 4)
    third = next((cell for cell, count in zip(cells, upto, strict=True) if count > total * 3 // 4), cells[-1])
    return max(1.059 * min((third - first) / 1.34, deviation) * math.pow(total, -0.2), _NARROWEST)
