"""One address for the experiments of a store: an API, a page, and the runner of what is asked for there.

It is for one user on one machine: it listens on the loopback interface only, and a caller with its token may
do what that user may. Nothing else is kept than what is in the store; a server that dies loses nothing.
"""
