"""The only impure part of the orchestrator: it observes, decides, appends and acts, again and again."""
