"""Reporting: what a training script says (``report``), and what a person is shown of an experiment.

Rule: importing this package loads the reporter and nothing else, because training scripts import it.
"""

from trialjob.reporting.in_job.report import report

__all__ = ["report"]
