"""One session of a run: its declaration, the checks before it, the controller that carries it out."""
