"""WHERE IT RUNS: executors, which carry out trials in this process, in worker processes or in virtual time."""
