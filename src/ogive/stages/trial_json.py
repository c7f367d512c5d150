"""The description of a delivered network as JSON, without its weights. `ogive.export` exports models with weights."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ogive.stages.delivery import Delivery


def describe_delivery(delivery: Delivery) -> dict[str, Any]:
    """Return a network as JSON: its architecture, its metrics, and how the stage that delivers it trained it."""
    trial, training = delivery.trial, delivery.training
    search_declaration, stage_declaration = delivery.search.declaration, delivery.state.declaration
    return {
        "architecture": trial.architecture.to_json(),
        "id": trial.architecture.id,
        "metrics": dict(delivery.metrics),
        "test_metrics": dict(delivery.test_metrics),
        "trial": trial.id,
        "stage": delivery.stage,
        "winner": delivery.is_winner,
        "status": training.status.value,
        "step": delivery.step,
        "fidelity": dict(training.fidelity),
        "seed": delivery.seed,
        "seeds": list(delivery.seeds),
        "mean_metrics": dict(delivery.mean_metrics),
        "settings": dict(delivery.settings),
        "seconds": training.seconds,
        "provenance": {
            "space": delivery.search.space.fingerprint,
            "fingerprints": dict(stage_declaration["fingerprints"]),
            "recipe": stage_declaration["recipe"],
            "estimator": search_declaration["estimator"],
            "strategy": search_declaration["strategy"],
            "schedule": search_declaration["schedule"],
            "epochs": stage_declaration["epochs"],
            "run_seed": search_declaration["seed"],
            "objectives": [objective.to_json() for objective in delivery.search.objectives],
            "constraints": [asdict(constraint) for constraint in delivery.search.constraints],
            "session": dict(delivery.session),
            "search": {"metrics": dict(trial.metrics), "step": trial.step, "seed": trial.seed},
        },
    }
