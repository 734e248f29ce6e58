"""What people start: the command line and the tuner for Python. They parse, call ``experiment``, and show."""
