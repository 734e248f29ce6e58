"""What is unknown before an experiment, drawn once for each simulated one: how trials learn, and how far
off the figures are that the plan was given.

Invented curves are alike in this only: more training is better, and a trial ahead early is more or less
likely to be ahead late. How likely differs from world to world, between nearly certain and nearly by chance.
"""

from __future__ import annotations

import math
import random
from dataclasses import replace

from trialjob.backends.assumptions import Assumptions
from trialjob.backends.simulator.curves import Curve, Curves
from trialjob.backends.simulator.job_timeline import varied
from trialjob.model.job import JobRequest
from trialjob.model.metric import Mode
from trialjob.planning.scenario_input import Case

#: Curves of a longer training are reported in so many steps; rungs need no finer ones.
_MOST_POINTS = 200


def assumed(case: Case, seed: int) -> Assumptions:
    """The case's assumptions as they turn out in one world."""
    dice = random.Random(f"assumed/{seed}")  # noqa: S311 - repeatable on purpose
    given = case.assumptions
    discount = given.spot_discount + given.spot_discount_range * dice.uniform(-1.0, 1.0)
    return replace(
        given,
        spot_discount=min(0.95, max(0.0, discount)),
        # Rates that are not published may well be three times higher or lower.
        interruptions_per_hour=given.interruptions_per_hour * varied(dice, 3.0),
        no_capacity=min(1.0, given.no_capacity * varied(dice, 2.0)),
        cold_start=given.cold_start * varied(dice, given.start_spread),
        setup=given.setup * varied(dice, given.start_spread),
        stop=given.stop * varied(dice, given.script_spread),
        script_start=given.script_start * varied(dice, given.script_spread),
        # Machines are scarce on one day and not on the next, as with ``no_capacity``.
        spot_wait=given.spot_wait * varied(dice, 2.0),
    )


def curves(case: Case, seed: int) -> Curves:
    """How trials learn in one world."""
    dice = random.Random(f"world/{seed}")  # noqa: S311 - repeatable on purpose
    error = varied(dice, case.assumptions.epoch_error)
    count, seconds = case.epochs.count or 1.0, case.epochs.seconds or 1.0
    if case.epochs.recorded is not None:
        whole = case.epochs.recorded.whole(count)

        def again(request: JobRequest) -> Curve:
            curve = random.Random(f"{seed}/{request.trial}").choice(whole)  # noqa: S311 - as above
            return replace(curve, pace=curve.pace * error)

        return again
    world = _Invented(case, dice, seed, pace=seconds * error, count=count)
    return world.curve


class _Invented:
    """Curves made up for one world."""

    def __init__(self, case: Case, dice: random.Random, seed: int, *, pace: float, count: float) -> None:
        self._sign = 1.0 if case.objective.mode is Mode.MAX else -1.0
        self._spread = case.assumptions.epoch_spread
        self._seed = seed
        self._pace = pace
        step = max(1.0, count / _MOST_POINTS)
        self._resources = [min(count, step * n) for n in range(1, math.ceil(count / step - 1e-9) + 1)]
        #: How much of a trial's early rank is chance.
        self._luck = math.exp(dice.uniform(math.log(0.1), math.log(3.0)))
        self._noise = math.exp(dice.uniform(math.log(0.01), math.log(0.3)))
        #: How much better a trial is than the one before, because the sampler has learned.
        self._trend = dice.uniform(0.0, 3.0) / case.limits.max_trials if case.learns else 0.0

    def curve(self, request: JobRequest) -> Curve:
        dice = random.Random(f"{self._seed}/{request.trial}")  # noqa: S311 - repeatable on purpose
        quality = dice.gauss(0.0, 1.0) + self._trend * request.trial
        chance, pace = dice.gauss(0.0, self._luck), self._pace * varied(dice, self._spread)
        end = self._resources[-1]
        points = []
        for resource in self._resources:
            left = 1.0 - resource / end
            standing = quality + chance * left**2 + dice.gauss(0.0, self._noise) - 2.0 * left**3
            # Between 0 and 1, as most metrics are.
            points.append((resource, 0.5 + 0.5 * self._sign * math.tanh(standing / 3.0)))
        return Curve(points=points, pace=pace)
