"""Where packages of others find what a stopping rule derives from; it is the other half of a search."""

from trialjob.orchestrator.core.search import BaseRule, Judgement, Scheduler, StoppingRule

__all__ = ["BaseRule", "Judgement", "Scheduler", "StoppingRule"]
