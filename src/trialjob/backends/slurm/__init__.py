"""Jobs of a SLURM cluster: one for each attempt of a trial, with the folders and files of a local one."""
