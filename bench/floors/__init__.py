"""The least that each kind of work costs: programs that do it and nothing else."""
