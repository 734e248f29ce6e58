"""The report: an experiment as one HTML file that works offline and can be mailed.

Rule 1: everything on it is read off a ``State`` and the space; nothing asks a backend or a store.
Rule 2: figures are plain data for plotly.js, and only ``document`` knows where plotly is.
Rule 3: names, values and messages are strangers' text. They are escaped where they become HTML, and once
more where plotly would read markup in them.
"""
