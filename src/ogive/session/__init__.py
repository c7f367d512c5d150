"""One session of a run: its declaration, the checks before it, and the controller that runs it."""
