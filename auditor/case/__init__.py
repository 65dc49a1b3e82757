"""What lasts: inputs by hash, runs, human judgements, evidence chain."""
