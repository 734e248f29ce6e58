"""Moves an experiment on: a journal of events, a pure core, and one engine that touches the world."""
