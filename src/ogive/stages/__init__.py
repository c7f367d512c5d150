"""The stages after a search: full training of the best, its result, and the network that a run delivers."""
