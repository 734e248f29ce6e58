"""The version of trialjob, which the whole house may read: it stands below everything."""

__version__ = "0.1.0"
