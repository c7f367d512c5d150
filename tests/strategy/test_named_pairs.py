"""BOHB and DEHB: budgets as in their authors' programs, models and subpopulations, and an error for other schedules."""

from __future__ import annotations

import copy
from itertools import islice
from typing import Any

import numpy as np
import pytest

from ogive import estimate, schedule, search
from ogive import strategy as strategies
from ogive.bench.simulated_search import PluginSpec, simulate
from ogive.bench.synthetic import Chain
from ogive.errors import JobError
from ogive.objective import Objective, parse_objectives
from ogive.schedule.base import Resume, Start
from ogive.schedule.dehb import DEHBBrackets
from ogive.seeds import generator
from ogive.space import Space, layer, one_of, real
from ogive.strategy import create, paired_schedule
from ogive.strategy.base import Strategy
from ogive.strategy.bohb import BOHB
from ogive.strategy.dehb import DEHB
from ogive.testing.schedules import check_schedule
from ogive.testing.strategies import check_strategy
from ogive.trial import Pending, Proposal, Report, Status, Trial

ACCURACY = parse_objectives("accuracy")
SPACE = Space(layer(dict, *(one_of(0, 1, 2, 3, name=f"d{i}") for i in range(4))))


def test_bohb_and_dehb_conform_with_other_options() -> None:
    check_strategy(
        lambda s, o, c: BOHB(
            s, o, c, random_fraction=0.0, samples=3, min_points=2, bandwidth_factor=1.0, top_n_percent=30
        ),
        another_process=False,
    )
    check_strategy(lambda s, o, c: DEHB(s, o, c, F=0.9, crossover=0.9), another_process=False)


@pytest.mark.parametrize("options", [{}, {"overlap": False}, {"fidelities": {"data_fraction": 0.1}}])
def test_the_schedule_of_dehb_conforms(options: dict[str, Any]) -> None:
    def make(objectives: Any, constraints: Any) -> DEHBBrackets:
        return DEHBBrackets(objectives, constraints, epochs=9, **options)

    check_schedule(make, another_process=False)


# Budgets of the evaluations of DEHB 0.1.2 (the authors' package), one worker, brackets in order, as (budget, evaluations):
# DEHB(min_fidelity=1, max_fidelity=R, eta=eta).ask/tell. HpBandSter 0.7.4 (BOHB, the authors' package) computes the same:
# BOHB.get_next_iteration.
PUBLISHED = {
    (
        81,
        3,
    ): "1x81 3x27 9x9 27x3 81x1 | 3x27 9x9 27x3 81x1 | 9x9 27x3 81x1 | 27x6 81x2 | 81x5 | 1x81 3x27 9x9 27x3 81x1 | 3x27",
    (
        27,
        3,
    ): "1x27 3x9 9x3 27x1 | 3x9 9x3 27x1 | 9x6 27x2 | 27x4 | 1x27 3x9 9x3 27x1 | 3x9 9x3 27x1 | 9x6 27x2 | 27x4 | 1x27",
    (
        16,
        2,
    ): "1x16 2x8 4x4 8x2 16x1 | 2x8 4x4 8x2 16x1 | 4x4 8x2 16x1 | 8x4 16x2 | 16x5 | 1x16 2x8 4x4 8x2 16x1 | 2x8 4x4",
    (
        9,
        3,
    ): "1x9 3x3 9x1 | 3x3 9x1 | 9x3 | 1x9 3x3 9x1 | 3x3 9x1 | 9x3 | 1x9 3x3 9x1 | 3x3 9x1 | 9x3 | 1x9 3x3 9x1 | 3x3",
}


def budgets(brackets: Any) -> Any:
    """Yield without end the budget of each job of one worker, and whether it resumes a trial; values are random."""
    trials: dict[int, Trial] = {}
    rng = generator(0, "values")
    while True:
        job = brackets.next_job(rng)
        if not isinstance(job, (Start, Resume)):
            brackets.on_end(trials[job.trial])
            continue
        number = len(trials) if isinstance(job, Start) else job.trial
        fidelity = job.fidelity if isinstance(job, Start) else job.until
        proposal = Proposal(SPACE.sample(rng)) if isinstance(job, Start) else trials[number].proposal
        earlier = trials[number].reports if isinstance(job, Resume) else ()
        reports = (*earlier, Report(int(fidelity["epochs"]), {"accuracy": float(rng.random())}))
        trials[number] = Trial(number, proposal, fidelity, status=Status.RUNNING, reports=reports)
        brackets.on_job(trials[number], job)
        yield int(fidelity["epochs"]), isinstance(job, Resume)
        if str(brackets.on_report(trials[number], reports[-1])) == "continue":
            trials[number] = Trial(number, proposal, fidelity, status=Status.FINISHED, reports=reports)
            brackets.on_end(trials[number])


@pytest.mark.parametrize("name", ["dehb", "hyperband"])
@pytest.mark.parametrize(("top", "eta"), PUBLISHED)
def test_the_sequence_of_budgets_is_that_of_the_authors_programs(name: str, top: int, eta: int) -> None:
    expected = [tuple(map(int, part.split("x"))) for part in PUBLISHED[top, eta].replace(" |", "").split()]
    brackets = schedule.create(name, epochs=top, eta=eta)
    jobs = list(islice(budgets(brackets), sum(n for _, n in expected)))
    groups: list[tuple[int, int]] = []
    # Group successive jobs of the same budget, but begin a new group where the published list does.
    for budget, _ in jobs:
        if groups and groups[-1][0] == budget and groups[-1][1] < expected[len(groups) - 1][1]:
            groups[-1] = budget, groups[-1][1] + 1
        else:
            groups.append((budget, 1))
    assert groups == expected
    first_round = sum(n for _, n in expected[: sum(range(1, 2 + round(np.log(top) / np.log(eta))))])
    resumed_later = {resumed for _, resumed in jobs[first_round:]}
    assert resumed_later <= ({False} if name == "dehb" else {False, True})
    assert any(resumed for _, resumed in jobs[:first_round]), "in the first round the best trials continue"


def trial_with_reports(number: int, proposal: Proposal, *values: tuple[int, float], **note: Any) -> Trial:
    proposal = Proposal(proposal.architecture, note={**proposal.note, **note})
    reports = tuple(Report(step, {"accuracy": value}) for step, value in values)
    return Trial(number, proposal, {"epochs": values[-1][0]}, status=Status.FINISHED, reports=reports)


def test_mutants_of_a_rung_come_from_the_best_of_the_rung_below() -> None:
    """Good trials at budget 1 have only labels 2 and 3; the members at budget 3 have only label 0."""
    strategy, space = DEHB(SPACE, ACCURACY, crossover=1.0), SPACE
    for number in range(9):
        label = 2 + number % 2 if number < 4 else 1
        architecture = space.architecture({f"d{i}": label for i in range(4)})
        strategy.tell(trial_with_reports(number, Proposal(architecture), (1, 1.0 if number < 4 else 0.1)))
    for number in range(9, 12):
        architecture = space.architecture({f"d{i}": 0 for i in range(4)})
        strategy.tell(trial_with_reports(number, Proposal(architecture), (3, 0.5), slot=number - 9, step=3))
    job = {"step": 3, "from": 1, "best": 4, "populations": [[1, 9], [3, 3]]}
    proposals = [strategy.ask(generator(0, i), Pending(job_note=job), {"epochs": 3}) for i in range(50)]
    assert {p.note["parent"] for p in proposals} == {9}, "the first of the members with the fewest children"
    labels = [label for p in proposals for label in p.architecture.values()]
    assert np.mean([label >= 1 for label in labels]) > 0.8, (
        "each coordinate is the mutant's, or random where the mutant is outside the cube"
    )
    pending = Pending({12: proposals[0]}, job_note=job)
    assert strategy.ask(generator(1), pending, {"epochs": 3}).note["slot"] == 1


def test_a_trial_belongs_to_the_subpopulation_of_every_budget_that_it_reached() -> None:
    strategy = DEHB(SPACE, ACCURACY)
    for number in range(6):
        strategy.tell(
            trial_with_reports(
                number, Proposal(SPACE.sample(generator(0, number))), (1, number / 6), (3, 1 - number / 6)
            )
        )
    populations = [[1, 6], [3, 6]]
    for step, best in ((1, 5), (3, 0)):
        job = {"step": step, "from": step, "best": 1, "populations": populations}
        strategy.ask(generator(0), Pending(job_note=job), {"epochs": step})
        assert strategy._populations[step].best(1)[0].id == best


def test_bohb_splits_and_samples_as_its_authors_program() -> None:
    space = Space(layer(dict, real(0.0, 1.0, name="x"), real(0.0, 1.0, name="y")))
    strategy = BOHB(space, ACCURACY, random_fraction=0.0)
    assert strategy.min_points == 3
    for number in range(40):
        x = space.architecture({"x": number / 40, "y": (number * 7 % 40) / 40})
        strategy.tell(trial_with_reports(number, Proposal(x), (1, -abs(number / 40 - 0.25))))
        note = strategy.ask(generator(0), Pending(), {"epochs": 1}).note
        assert note["origin"] == ("model" if number >= 5 else "random"), "a model needs 2 N_min trials"
    good, bad, total = strategy._split_trials()
    assert (len(good), len(bad), total) == (6, 34, 40), "15% are good"
    assert {round(a["x"] * 40) for a in good} in ({7, 8, 9, 10, 11, 12}, {8, 9, 10, 11, 12, 13}), (
        "the six nearest to 10"
    )
    samples = [strategy.ask(generator(1, i), Pending(), {"epochs": 1}).architecture["x"] for i in range(60)]
    assert abs(np.median(samples) - 0.25) < 0.1
    for number in range(40, 46):  # the model uses the higher budget as soon as that has enough trials
        x = space.architecture({"x": 0.8 + number / 1000, "y": 0.5})
        strategy.tell(trial_with_reports(number, Proposal(x), (1, -1.0), (3, 1.0 - number / 100)))
    assert strategy._split_trials().total == 6
    random = BOHB(space, ACCURACY)
    for number in range(40):
        random.tell(trial_with_reports(number, Proposal(space.sample(generator(0, number))), (1, number / 40)))
    origins = [random.ask(generator(2, i), Pending(), {}).note["origin"] for i in range(300)]
    assert 70 < origins.count("random") < 130, "a third"


@pytest.mark.parametrize("name", ["bohb", "dehb"])
@pytest.mark.parametrize("workers", [1, 6])
def test_bohb_and_dehb_spend_less_on_poor_trials(name: str, workers: int) -> None:
    problem = Chain()
    paired = paired_schedule(name, {})
    assert paired is not None
    ((schedule_name, options),) = paired.items()
    state = simulate(problem, PluginSpec(name), PluginSpec(schedule_name, options), trials=60, workers=workers)
    steps = [trial.step for trial in state.trials.values()]
    assert len(steps) == 60
    assert min(steps) < np.mean(steps) < max(steps)
    assert {trial.proposal.note["origin"] for trial in state.trials.values()} >= {"random"}


@pytest.mark.parametrize("kind", [BOHB, DEHB])
def test_proposals_depend_only_on_the_trials(kind: type[Strategy], monkeypatch: pytest.MonkeyPatch) -> None:
    """In a search with its schedule's notes, a new instance that received the trials proposes the same as the old one."""
    is_equal = []

    class Watched(kind):  # type: ignore[misc,valid-type]
        def __init__(self, space: Space, objectives: Any, constraints: Any = ()) -> None:
            super().__init__(space, objectives, constraints)
            self.records: list[Trial] = []

        def tell(self, trial: Trial) -> None:
            self.records.append(trial)
            super().tell(trial)

        def ask(self, rng: np.random.Generator, pending: Pending, fidelity: Any) -> Proposal:
            fresh = kind(self.space, self.objectives, self.constraints)
            for trial in self.records:
                fresh.tell(trial)
            expected = fresh.ask(copy.deepcopy(rng), pending, fidelity)
            proposal: Proposal = super().ask(rng, pending, fidelity)
            is_equal.append(proposal == expected)
            return proposal

    monkeypatch.setattr(strategies._REGISTRY, "_factories", {**strategies._REGISTRY._factories, "watched": Watched})
    simulate(Chain(), PluginSpec("watched"), PluginSpec(kind.schedule), trials=150, workers=6)
    assert len(is_equal) >= 150
    assert all(is_equal)


@pytest.mark.parametrize("name", ["bohb", "dehb"])
def test_bohb_and_dehb_work_with_several_objectives(name: str) -> None:
    both = (Objective("accuracy"), Objective("latency"))
    strategy = create(name, SPACE, both, **({"min_points": 3} if name == "bohb" else {}))
    for number in range(60):
        proposal = strategy.ask(generator(0, number), Pending(), {"epochs": 1})
        value = float(sum(proposal.architecture.values()))
        metrics = {"accuracy": value, "latency": float(proposal.architecture["d0"])}
        strategy.tell(Trial(number, proposal, status=Status.FINISHED, reports=(Report(1, metrics),)))
    assert strategy.ask(generator(1), Pending(), {"epochs": 1}).note["origin"] in ("random", "model", "mutation")


def test_bohb_and_dehb_with_another_schedule_are_an_error() -> None:
    estimator = estimate.function(lambda architecture: {"accuracy": 1.0})
    message = "strategy '{}' brings its own schedule, '{}'; leave schedule=.* out"
    with pytest.raises(JobError, match=message.format("bohb", "hyperband")):
        search(SPACE, estimator, executor="inline", strategy="bohb", schedule="asha")
    with pytest.raises(JobError, match=message.format("DEHB", "dehb")):
        search(SPACE, estimator, executor="inline", strategy=DEHB(SPACE, ACCURACY), schedule={"hyperband": {"eta": 4}})
    assert paired_schedule("bohb", {"eta": 4, "samples": 3}) == {"hyperband": {"eta": 4}}
    assert paired_schedule("random", {}) is None
