"""For the HuggingFace ``Trainer``: ``from trialjob.reporting.huggingface import TrialjobCallback``."""

from trialjob.in_job.huggingface import TrialjobCallback, last_checkpoint

__all__ = ["TrialjobCallback", "last_checkpoint"]
