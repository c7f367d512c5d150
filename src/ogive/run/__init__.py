"""Runs: their events, journal, state and settings, and the controller that executes them."""
