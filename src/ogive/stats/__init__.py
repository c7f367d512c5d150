"""Statistics: correlations of ranks, tests, corrections for multiple tests, intervals, ridge regression."""
