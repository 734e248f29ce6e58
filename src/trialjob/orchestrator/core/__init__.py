"""The pure heart: events, state, and what follows from what.

No clock, no randomness, no I/O, no third party.
"""
