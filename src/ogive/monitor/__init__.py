"""What watches a run: its costs and forecasts, stop rules, alerts and their routes, and the live view."""
