"""Surrogates: models that predict how good architectures are, such as Gaussian processes, ensembles and densities."""
