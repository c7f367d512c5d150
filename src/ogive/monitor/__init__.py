"""Monitoring of runs: spending and projections, stop rules, alerts, the live view, and the watcher of controllers."""
