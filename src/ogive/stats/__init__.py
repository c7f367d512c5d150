"""Statistics: rank correlations, tests, corrections for multiple tests, intervals, and ridge regression."""
