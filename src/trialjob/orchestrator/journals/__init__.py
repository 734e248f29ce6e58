"""Journals keep the records of an experiment."""
