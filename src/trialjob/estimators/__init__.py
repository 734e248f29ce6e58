"""Estimators: what a trial's job is."""
