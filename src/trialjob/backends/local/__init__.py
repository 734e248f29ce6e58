"""Jobs as processes on this machine, with the code, the arguments and the folders of a SageMaker container.

Every job has a supervisor, a small process of its own, so that it outlives its submitter. This
package's root imports nothing, because a supervisor starts with every trial and has to start quickly.
"""
