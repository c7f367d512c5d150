"""Surrogates: models that predict how good architectures are. Kernels, Gaussian processes, ensembles and densities."""
