"""Reporting: what a training script says (``report``), and what a person is shown of an experiment.

Rule: importing this package loads what a training script needs and nothing else.
"""

from trialjob.in_job.context import Context, get_context
from trialjob.in_job.report import report

__all__ = ["Context", "get_context", "report"]
