"""What runs inside a job: standard library only, nothing else of ours, Python 3.8 and later."""
