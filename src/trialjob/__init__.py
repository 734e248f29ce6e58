"""Hyperparameter tuning where every trial is one managed training job."""

__version__ = "0.1.0"
