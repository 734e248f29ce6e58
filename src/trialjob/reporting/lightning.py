"""For Lightning: ``from trialjob.reporting.lightning import TrialjobCallback``."""

from trialjob.in_job.lightning import TrialjobCallback, last_checkpoint

__all__ = ["TrialjobCallback", "last_checkpoint"]
