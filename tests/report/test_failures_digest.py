"""Equal failures are one group, and alternatives that fail more often are found by a significance test."""

from __future__ import annotations

import numpy as np

import ogive as og
from ogive.report.failures import find_failure_causes, group_failures
from ogive.run.repeated_failure import compute_error_signature
from ogive.trial import Proposal, Status, Trial

SPACE = og.Space(
    og.layer(dict, k=og.one_of(3, 5, 7, name="k"), w=og.one_of(8, 16, name="w"), d=og.integer(1, 4, name="d"))
)


def trial(number: int, status: Status, reason: str = "", traceback: str = "", **choices: int) -> Trial:
    architecture = SPACE.architecture({"k": 3, "w": 8, "d": 1, **choices})
    return Trial(number, Proposal(architecture), status=status, reason=reason, traceback=traceback)


def test_numbers_addresses_and_paths_do_not_separate_groups() -> None:
    failed = [
        trial(0, Status.ERROR, "RuntimeError: shape [3, 16] at 0x7f00 in /a/b/c.py", ""),
        trial(
            1,
            Status.ERROR,
            "RuntimeError: shape [5, 8.5] at 0x8a11 in /x/y.py\nmore",
            "Traceback\n  File\nRuntimeError: shape [5, 8.5]\n",
        ),
        trial(2, Status.TIME_LIMIT, "took 61 s"),
        trial(3, Status.ERROR, "ValueError: no"),
    ]
    groups = group_failures(failed)
    assert [(group.status, [t.id for t in group.trials]) for group in groups] == [
        (Status.ERROR, [0, 1]),
        (Status.ERROR, [3]),
        (Status.TIME_LIMIT, [2]),
    ]
    assert groups[0].example.id == 1
    assert groups[0].last_line == "RuntimeError: shape [5, 8.5]"
    assert groups[1].last_line is None
    assert compute_error_signature(failed[0]) == "RuntimeError: shape [#, #] at 0x... in /..."


def test_the_alternative_that_fails_is_found() -> None:
    rng = np.random.default_rng(0)
    trials = []
    for i in range(200):
        architecture = SPACE.sample(rng)
        bad = architecture["k"] == 7 and rng.random() < 0.5
        status = Status.ERROR if bad or rng.random() < 0.05 else Status.FINISHED
        trials.append(Trial(i, Proposal(architecture), status=status))
    causes = find_failure_causes(SPACE, trials)
    assert [(cause.decision, cause.text) for cause in causes] == [("k", "7")]
    (cause,) = causes
    assert cause.low < cause.failed / cause.total < cause.high
    assert cause.elsewhere < 0.1


def test_random_failures_have_no_cause() -> None:
    with_cause = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        statuses = [Status.ERROR if rng.random() < 0.2 else Status.FINISHED for _ in range(60)]
        with_cause += bool(
            find_failure_causes(
                SPACE, [Trial(i, Proposal(SPACE.sample(rng)), status=s) for i, s in enumerate(statuses)]
            )
        )
    assert with_cause <= 11  # at most 5% each; more than 11 of 100 has probability 0.005
    assert find_failure_causes(SPACE, [trial(i, Status.ERROR) for i in range(9)]) == []
