"""Executors: they run trials in the controller's process, in worker processes, or in virtual time."""
