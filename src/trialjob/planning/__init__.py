"""What an experiment will take and cost, before the first of its jobs is started.

Rule: the best guess and its range come from whole experiments in virtual time, run by the engine that runs
the real one, on a service that is as ``Assumptions`` say. The worst case is arithmetic and assumes nothing.
"""
