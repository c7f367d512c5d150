"""Models of how good architectures are: kernels, Gaussian processes, ensembles, densities."""
