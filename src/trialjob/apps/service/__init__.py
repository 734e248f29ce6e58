"""One address for the experiments of a store: an API, a page, and whoever runs what is asked for there.

It is for one user on one machine: it listens on the loopback interface only, and whoever has its token may do
what that user may. Nothing else is kept than what is in the store; a server that dies loses nothing.
"""
