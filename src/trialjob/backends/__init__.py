"""Backends: where jobs run. Each implements ``orchestrator.ports.JobBackend`` and knows no other."""
