"""The sections of a report: each a function of the run that returns a `Section`, which says why where it is empty."""
