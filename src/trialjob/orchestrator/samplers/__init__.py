"""Samplers propose configurations. Each third-party library lives in the one file that is named after it."""
