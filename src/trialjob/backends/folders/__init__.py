"""Jobs as folders: what a backend and the process beside a script tell each other through files."""
