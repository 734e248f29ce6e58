"""A first spec for a folder of code: what `trialjob init` sees of it, guesses, and writes. Nothing is run."""
