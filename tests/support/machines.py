"""Simulated measurements of a machine whose parameters are known."""

from __future__ import annotations

import math

import numpy as np

from ogive.planner import Machine, MeasuredEpoch, MeasuredStartUp, Timings


def measurements(machine: Machine, seed: int = 0, workers: tuple[int, ...] = (1, 2, 4), trials: int = 6) -> Timings:
    """Return three epochs of each trial for every number of workers, and two start-ups, with the noise of the machine."""
    rng = np.random.default_rng(seed)
    epochs, starts = [], []
    for trial in range(trials):
        factor = math.exp(rng.normal(0, machine.spread))
        for k in workers:
            for epoch in (1, 2, 3):
                seconds = machine.compute_epoch_seconds(k) * factor * math.exp(rng.normal(0, machine.noise))
                start_seconds = machine.compute_attempt_seconds(k) if epoch == 1 else 0.0
                epochs.append(MeasuredEpoch(f"{trial}", k, epoch, seconds + start_seconds, epoch == 1))
    for k in workers:
        starts += [
            MeasuredStartUp(k, machine.compute_start_up_seconds(k) * math.exp(rng.normal(0, machine.noise)))
            for _ in range(2)
        ]
    return Timings(tuple(epochs), tuple(starts), "threads", "a simulated machine")
