"""A trial as JSON; trained models are exported by `ogive.export`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ogive.run.state import State
from ogive.trial import Trial


def export_json(state: State, trial: Trial) -> dict[str, Any]:
    """A trial as JSON: architecture, metrics, and where they come from."""
    created = state.created
    return {
        "architecture": trial.architecture.to_json(),
        "id": trial.architecture.id,
        "metrics": dict(trial.metrics),
        "trial": trial.id,
        "status": trial.status.value,
        "step": trial.step,
        "fidelity": dict(trial.fidelity),
        "seed": trial.seed,
        "settings": dict(trial.proposal.settings),
        "seconds": trial.seconds,
        "provenance": {
            "space": state.space.fingerprint,
            "fingerprints": dict(created["fingerprints"]),
            "recipe": created["recipe"],
            "estimator": created["estimator"],
            "strategy": created["strategy"],
            "schedule": created["schedule"],
            "epochs": created["epochs"],
            "run_seed": created["seed"],
            "objectives": [objective.to_json() for objective in state.objectives],
            "constraints": [asdict(constraint) for constraint in state.constraints],
            "session": dict(state.sessions[-1]) if state.sessions else {},
        },
    }
