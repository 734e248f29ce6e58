"""For Keras: ``from trialjob.reporting.keras import TrialjobCallback``."""

from trialjob.in_job.keras import TrialjobCallback

__all__ = ["TrialjobCallback"]
