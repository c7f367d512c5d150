"""A search as a user's script: `python search_script.py FOLDER WORKERS PAUSE` prints a line for every event.

It has no `__main__` guard, and a part of the estimator is defined here, so that it is pickled by value.
"""

import sys

from staged import SPACE, Staged

import ogive as og


class ScriptEstimator(Staged):
    """A subclass without changes, defined in `__main__`."""


folder, workers, pause = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
options = {"executor": "inline"} if workers == 0 else {"workers": workers}
run = og.search(
    SPACE,
    ScriptEstimator(pause),
    run=folder,
    strategy="regularized_evolution",
    epochs=5,
    max_trials=60,
    observer=lambda state, event: print(event.kind if event else "tick", flush=True),
    **options,
)
print("ended", run.ended, flush=True)
