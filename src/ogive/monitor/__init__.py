"""Monitoring of runs: costs and projections, stop rules, alerts, the live view, and the watcher of controllers."""
