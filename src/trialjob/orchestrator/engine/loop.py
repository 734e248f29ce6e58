"""Steps until the experiment has ended or the caller asks to leave."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from trialjob.errors import StoreUnavailable
from trialjob.model.trial import Phase
from trialjob.orchestrator.core.commands import idle_until
from trialjob.orchestrator.core.events import Event
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.engine.looks import Look, Planned
from trialjob.orchestrator.engine.step import Step, Stepper
from trialjob.orchestrator.ports import Clock

#: Seconds; no backend is asked again sooner than this because of a turn.
_SHORTEST = 0.02
#: Seconds; what follows from the passing of time alone is found out that late at most.
_LONGEST_QUIET = 600.0

Watcher = Callable[[State, Sequence[Event]], None]


class Loop:
    """A step, a sleep, a step."""

    def __init__(
        self,
        stepper: Stepper,
        clock: Clock,
        poll_interval: float,
        *,
        by_pace: bool = False,
        looks_when_woken: bool = False,
        quiet_until: Callable[[], float] | None = None,
    ) -> None:
        """With ``by_pace`` the pause is longer or shorter, and looks ask for what is expected (``looks``).

        ``looks_when_woken``, where a look costs nothing, is to look at once when a sleep is cut short.
        ``quiet_until`` knows until when no job has any news; looks before that are left out.
        """
        self._by_pace = by_pace
        self._looks_when_woken = looks_when_woken
        self._quiet_until = quiet_until
        self._stepper = stepper
        self._clock = clock
        self._poll_interval = poll_interval
        self._leaving = False
        #: Why the last step could not be made, in words; "" when it could.
        self.trouble = ""
        #: When the next step is worth while.
        self.next_at = clock.now()

    def run(self, watch: Watcher, *, until: float = math.inf, once: bool = False) -> State:
        """Step until the end, until ``leave``, or until there is nothing to be done before ``until``.

        It is left too when it goes on in another store, and when the stepper is outdated.

        ``watch`` sees the state after every step. With ``once`` the jobs are looked at once and not again;
        what follows is done, also where a call has to wait for its turn.
        """
        watch(self._stepper.state, ())
        seen_at = self._clock.now()
        planned = Planned.everything(seen_at)
        while self._goes_on():
            now = self._clock.now()
            if now < seen_at:  # it was set back, and what was planned by it is far away
                planned, until = Planned.everything(now), until - (seen_at - now)
            seen_at = now
            look = planned.look if now >= planned.at else None
            step = self._step(look)
            watch(self._stepper.state, step.events)
            now = self._clock.now()
            if now < seen_at:
                continue
            if step.more:
                planned = Planned.everything(now)
            elif look:
                planned = self._next_look(planned, now)
            # A call that waits for its turn does not wait for the next look.
            wake_at = self.next_at = planned.at if step.turn_at is None else min(planned.at, step.turn_at)
            if wake_at > until or (once and wake_at == planned.at > now):
                break
            seen_at = now
            if wake_at > now and self._goes_on():
                self._clock.sleep(max(wake_at - now, _SHORTEST))
                if self._looks_when_woken and self._clock.now() < wake_at:
                    planned = Planned.everything(now)
        return self._stepper.state

    def _next_look(self, made: Planned, now: float) -> Planned:
        planned = self._look_after(made, now)
        if self._quiet_until is not None:
            quiet = min(self._quiet_until(), idle_until(self._stepper.state, now), now + _LONGEST_QUIET)
            # Added up as it would be without leaving any out, so that the looks are at the same times.
            while planned.at < quiet:
                planned = self._look_after(planned, planned.at)
        return planned

    def _look_after(self, made: Planned, now: float) -> Planned:
        if not self._by_pace:
            return Planned.everything(now + self._poll_interval)
        return made.following(self._stepper.state, now, self._poll_interval)

    def _step(self, look: Look | None) -> Step:
        """A step; a store that does not answer is asked again when the jobs are looked at again."""
        try:
            step = self._stepper.step(look=look)
        except StoreUnavailable as error:
            self.trouble = str(error)
            return Step(events=(), more=False, turn_at=None)
        self.trouble = ""
        return step

    def _goes_on(self) -> bool:
        state = self._stepper.state
        is_ours = state.moved_to is None and not self._stepper.is_outdated
        return not self._leaving and state.phase is not Phase.ENDED and is_ours

    def leave(self) -> None:
        """Return from ``run`` after the present step; jobs run on. Safe in a signal handler."""
        self._leaving = True
