"""The version of trialjob: it stands below everything, so all may read it."""

__version__ = "0.1.0"
