"""Trials of trainers that ask for them themselves, from anywhere: their jobs are leases of those who ask."""
