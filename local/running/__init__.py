"""`make run`: the pipeline on this machine, from its start to its end."""
