"""Stopping rules: pure functions of the recorded state."""
