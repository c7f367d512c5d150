"""The sections of a report: functions of the run that return a `Section`. A section without content says why in one line."""
