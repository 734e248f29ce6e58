"""Other products' files → specs of ours, and what of them has no counterpart.

Rule: nothing of a file is dropped in silence. A section counts what was taken of it; the rest is named.
"""
