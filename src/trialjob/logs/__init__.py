"""From the bytes of a job's log to its reports: lines, numbers, and what a spec's metrics make of them."""
