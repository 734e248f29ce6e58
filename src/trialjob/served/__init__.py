"""Experiments that a server runs (`trialjob serve`), as other machines reach them."""
