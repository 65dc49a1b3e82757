"""How a run runs: run directory, worker process, events, executors."""
