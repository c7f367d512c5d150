"""What follows a search: full training of the best, funnels of searches, and the network that they deliver."""
