"""The sessions of a run: the declaration of a search, the checks before a session, and the controller."""
