"""A service that runs jobs on a virtual clock."""
