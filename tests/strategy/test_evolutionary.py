"""Genetic algorithms, NSGA-II and differential evolution, against closed forms, the papers' algorithms, Optuna and pymoo."""

from __future__ import annotations

from collections import Counter
from math import comb
from typing import Any

import numpy as np
import optuna
import pytest
from pymoo.algorithms.moo import nsga2
from pymoo.core.mutation import Mutation
from pymoo.core.problem import Problem
from pymoo.operators.crossover.ux import UniformCrossover
from pymoo.operators.sampling.rnd import IntegerRandomSampling
from pymoo.optimize import minimize

from ogive.errors import JobError, SpaceError, SpaceExhausted
from ogive.objective import Objective, hypervolume, parse_objectives
from ogive.seeds import generator
from ogive.space import Architecture, Space, layer, one_of, real
from ogive.strategy import Deduplicated, create
from ogive.strategy.base import Strategy
from ogive.strategy.genetic import mutate
from ogive.strategy.population import Population
from ogive.strategy.unit_cube import UnitCube
from ogive.testing.spaces import SPACES
from ogive.testing.strategies import check_strategy
from ogive.trial import Pending, Proposal, Report, Status, Trial

SPACE = Space(layer(dict, *(one_of(0, 1, 2, 3, name=f"d{i}") for i in range(8))))
ACCURACY = parse_objectives("accuracy")


def finished_trial(number: int, proposal: Proposal, **metrics: float) -> Trial:
    return Trial(number, proposal, status=Status.FINISHED, reports=(Report(1, metrics),))


def random_proposal(number: int, space: Space = SPACE) -> Proposal:
    return Proposal(space.sample(generator(0, "drawn", number)))


def search(strategy: Strategy, evaluate: Any, count: int, seed: int = 0) -> list[Trial]:
    """Return the trials of a search, one after another."""
    trials = []
    for number in range(count):
        proposal = strategy.ask(generator(seed, number), Pending(), {})
        trials.append(finished_trial(number, proposal, **evaluate(proposal.architecture, number)))
        strategy.tell(trials[-1])
    return trials


@pytest.mark.parametrize(
    ("name", "options"),
    [
        (
            "genetic",
            {"population": 6, "selection": "proportional", "drop": "oldest", "mutation": 0.3, "crossover": 1.0},
        ),
        ("genetic", {"population": 6, "sample": 2, "drop": "worst"}),
        ("regularized_evolution", {"population": 6, "sample": 3, "drop": "worst"}),
        ("nsga2", {"population": 4, "crossover": 0.0, "mutation": 0.5}),
        ("differential_evolution", {"population": 4, "F": 0.9, "crossover": 0.2}),
    ],
)
def test_all_options_conform(name: str, options: dict[str, Any]) -> None:
    check_strategy(
        lambda space, objectives, constraints: create(name, space, objectives, constraints, **options),
        another_process=False,
    )


def test_a_grid_is_proposed_once_in_either_order() -> None:
    space = SPACES["mixed"]()
    grid = [a.id for a in space.grid(resolution=3)]
    orders = []
    for options in ({"order": "lexicographic"}, {"order": "seeded"}, {"order": "seeded", "seed": 1}):
        strategy = create("grid", space, resolution=3, **options)
        orders.append([t.architecture.id for t in search(strategy, lambda a, n: {"accuracy": 0.0}, len(grid))])
        with pytest.raises(SpaceExhausted, match=f"all {len(grid)} architectures of the grid"):
            strategy.ask(generator(0), Pending(), {})
    assert orders[0] == grid
    assert sorted(orders[1]) == sorted(orders[2]) == sorted(grid)
    assert grid != orders[1] != orders[2]
    with pytest.raises(JobError, match="too many for a random order"):
        create("grid", SPACES["large"]())


def test_a_grid_continues_after_pending_architectures() -> None:
    strategy = create("grid", SPACE, order="lexicographic")
    first, second, third = list(SPACE.grid())[:3]
    assert strategy.ask(generator(0), Pending({0: Proposal(first), 1: Proposal(second)}), {}).architecture == third


def test_the_population_is_the_last_or_the_best_trials() -> None:
    values = generator(0, "values").random(200)
    for size in (1, 7, 50):
        oldest, worst = Population(size, "oldest", ACCURACY), Population(size, "worst", ACCURACY)
        for number, value in enumerate(values):
            for population in (oldest, worst):
                population.tell(finished_trial(number, random_proposal(number), accuracy=float(value)))
            best = sorted(range(number + 1), key=lambda i: -values[i])[:size]
            assert {trial.id for trial in worst.alive()} == set(best)
            assert [trial.id for trial in oldest.alive()] == list(range(number, max(-1, number - size), -1))


def test_a_dropped_trial_returns_when_a_later_record_is_better() -> None:
    population = Population(3, "worst", ACCURACY)
    for number in range(12):
        population.tell(finished_trial(number, random_proposal(number), accuracy=number / 100))
    assert {trial.id for trial in population.alive()} == {9, 10, 11}
    population.tell(finished_trial(2, random_proposal(2), accuracy=0.9))
    assert {trial.id for trial in population.alive()} == {2, 10, 11}


def test_with_noise_dropping_the_worst_keeps_lucky_members_and_dropping_the_oldest_does_not() -> None:
    """All architectures are equally good, so differences between values are luck."""
    luck = {}
    for drop in ("oldest", "worst"):
        strategy = create("regularized_evolution", SPACE, population=20, sample=5, drop=drop)
        noise = generator(0, "noise").standard_normal(400)
        search(strategy, lambda a, n: {"accuracy": float(noise[n])}, 400)  # noqa: B023
        alive = strategy._population.alive()  # type: ignore[attr-defined]
        luck[drop] = np.mean([trial.metrics["accuracy"] for trial in alive])
    assert abs(luck["oldest"]) < 0.7, "the mean of 20 standard normal numbers"
    assert luck["worst"] > 1.6, "the mean of the 20 largest of 400"


def count_parents(strategy: Strategy, asks: int = 4000) -> Counter[int]:
    return Counter(strategy.ask(generator(1, i), Pending(), {}).note["parent"] for i in range(asks))


def test_selection_has_the_probabilities_of_the_textbook() -> None:
    values = [0.1, 0.2, 0.5, 0.4]
    proportional = create("genetic", SPACE, population=4, selection="proportional", crossover=0.0)
    tournament = create("genetic", SPACE, population=4, sample=3, crossover=0.0)
    for number, value in enumerate(values):
        for strategy in (proportional, tournament):
            strategy.tell(finished_trial(number, random_proposal(number), accuracy=value))
    counts = count_parents(proportional)
    assert counts[0] == 0
    for number, fitness in enumerate([0.0, 0.1, 0.4, 0.3]):  # above the worst
        assert counts[number] / 4000 == pytest.approx(fitness / 0.8, abs=0.03)
    counts = count_parents(tournament)
    for position, number in enumerate(sorted(range(4), key=lambda i: values[i]), start=1):
        assert counts[number] / 4000 == pytest.approx((position / 4) ** 3 - ((position - 1) / 4) ** 3, abs=0.03)


def test_nsga2_selects_parents_by_two_binary_tournaments_and_mutates_with_the_given_probability() -> None:
    """The better of two of N members, drawn without replacement, has rank i with probability 2 (N-1-i) / (N (N-1))."""
    n = 5
    strategy = create("nsga2", SPACE, population=n, crossover=0.0, mutation=0.0)
    often = create("nsga2", SPACE, population=n, crossover=0.0, mutation=1.0)
    for number in range(n):
        for each in (strategy, often):
            each.tell(finished_trial(number, random_proposal(number), accuracy=-number))
    counts = count_parents(strategy)
    for rank in range(n):
        assert counts[rank] / 4000 == pytest.approx(2 * (n - 1 - rank) / (n * (n - 1)), abs=0.03)

    def count_changes(proposal: Proposal) -> int:
        parent = random_proposal(int(proposal.note["parent"])).architecture
        return sum(parent[name] != label for name, label in proposal.architecture.items())

    assert {count_changes(strategy.ask(generator(2, i), Pending(), {})) for i in range(50)} == {1}
    assert {count_changes(often.ask(generator(2, i), Pending(), {})) for i in range(50)} == {8}, (
        "no decision changes twice"
    )


@pytest.mark.parametrize("name", ["genetic", "nsga2"])
def test_each_decision_of_a_child_changes_with_the_given_probability(name: str) -> None:
    """Children of one parent: the number of changes has a binomial distribution, except that 0 changes become 1."""
    p, asks = 0.2, 4000
    strategy = create(name, SPACE, population=2, crossover=0.0, mutation=p)
    parent = Proposal(SPACE.architecture({f"d{i}": 0 for i in range(8)}))
    for number in range(2):
        strategy.tell(finished_trial(number, parent, accuracy=0.5))
    children = [strategy.ask(generator(4, i), Pending(), {}).architecture for i in range(asks)]
    counts = Counter(sum(label != 0 for label in child.values()) for child in children)
    for k in range(1, 9):
        expected = comb(8, k) * p**k * (1 - p) ** (8 - k) + (0.8**8 if k == 1 else 0)
        assert counts[k] / asks == pytest.approx(expected, abs=0.03)
    shares = [np.mean([child[f"d{i}"] != 0 for child in children]) for i in range(8)]
    assert shares == pytest.approx([p + 0.8**8 / 8] * 8, abs=0.03)


def test_a_mutation_draws_activated_decisions_and_respects_the_constraint() -> None:
    cell = one_of(flat=layer(dict), deep=layer(dict, one_of(*range(5), name="width")), name="kind")
    space = Space(layer(dict, cell, one_of(*range(5), name="other"), one_of("same", name="single")))
    flat = space.architecture({"kind": "flat", "other": 0, "single": "same"})
    children = [mutate(space, flat, 1.0, generator(0, i), at_least_one=False) for i in range(500)]
    assert {child["kind"] for child in children} == {"deep"}
    widths = Counter(child["width"] for child in children)
    assert all(widths[k] / 500 == pytest.approx(0.2, abs=0.06) for k in range(5))
    assert {child["other"] for child in children} == {1, 2, 3, 4}
    back = [mutate(space, child, 1.0, generator(1, i), at_least_one=False) for i, child in enumerate(children)]
    assert all(set(child) == {"kind", "other", "single"} for child in back), "inactive decisions are removed"

    def even(architecture: Architecture) -> str | None:
        return "odd" if sum(int(v) for v in architecture.values()) % 2 else None

    constrained = Space(layer(dict, *(one_of(*range(4), name=f"d{i}") for i in range(4))), constraint=even)
    parent = constrained.architecture({f"d{i}": 0 for i in range(4)})
    children = [mutate(constrained, parent, 0.25, generator(2, i), at_least_one=False) for i in range(2000)]
    assert not any(map(even, children))
    assert children.count(parent) / 2000 == pytest.approx(0.75**4, abs=0.03), "as often as without the constraint"
    single = Space(layer(dict, one_of("same", name="single")))
    same = single.architecture({"single": "same"})
    with pytest.raises(SpaceError, match="cannot be mutated: each of its decisions has one alternative"):
        mutate(single, same, None, generator(0), at_least_one=True)


def test_a_child_has_two_parents_with_the_given_probability() -> None:
    strategy = create("genetic", SPACE, population=4, sample=1, crossover=0.3)
    for number in range(4):
        strategy.tell(finished_trial(number, random_proposal(number), accuracy=0.5))
    notes = [strategy.ask(generator(3, i), Pending(), {}).note for i in range(2000)]
    crossed = [note["parents"] for note in notes if note["origin"] == "crossover"]
    assert len(crossed) / 2000 == pytest.approx(0.3 * 0.75, abs=0.03), (
        "in a quarter of the pairs both parents are the same"
    )
    assert all(first != second for first, second in crossed)


def test_the_decisions_of_a_child_come_from_two_parents() -> None:
    strategy = create("genetic", SPACE, population=2, selection="tournament", sample=1, crossover=1.0, mutation=0.0)
    for number, label in enumerate((0, 3)):
        architecture = SPACE.architecture({f"d{i}": label for i in range(8)})
        strategy.tell(finished_trial(number, Proposal(architecture), accuracy=0.5))
    children = [strategy.ask(generator(2, i), Pending(), {}) for i in range(40)]
    crossed = [child.architecture for child in children if child.note["origin"] == "crossover"]
    assert crossed
    assert all(set(child.values()) <= {0, 3} for child in crossed)
    assert any(len(set(child.values())) == 2 for child in crossed)


# -- two objectives ----------------------------------------------------------------------------------------------

TWO = (Objective("loss"), Objective("latency"))
LABELS = 5


def two_metrics(values: Any) -> dict[str, float]:
    """Return two metrics whose front lies between architectures of low and of high labels; uneven neighbours are bad."""
    x = np.array(list(values), dtype=float) / (LABELS - 1)
    rough = float(np.abs(np.diff(x)).mean())
    return {"loss": float((x**2).mean()) + rough, "latency": float(((1 - x) ** 2).mean()) + rough}


def volume(rows: list[dict[str, float]]) -> float:
    return hypervolume([[row["loss"], row["latency"]] for row in rows], (1.5, 1.5))


def optuna_nsga2(seed: int, trials: int) -> float:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = optuna.samplers.NSGAIISampler(population_size=20, seed=seed)
    study = optuna.create_study(directions=["minimize", "minimize"], sampler=sampler)

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        row = two_metrics(trial.suggest_categorical(f"d{i}", list(range(LABELS))) for i in range(8))
        return row["loss"], row["latency"]

    study.optimize(objective, n_trials=trials)
    return volume([two_metrics(trial.params.values()) for trial in study.trials])


class TwoMetrics(Problem):  # type: ignore[misc]
    """`two_metrics` as a problem of pymoo, which records all evaluations."""

    def __init__(self) -> None:
        super().__init__(n_var=8, n_obj=2, xl=0, xu=LABELS - 1, vtype=int)
        self.rows: list[dict[str, float]] = []

    def _evaluate(self, x: np.ndarray, out: dict[str, np.ndarray], *_: Any, **__: Any) -> None:
        new = [two_metrics(row) for row in x]
        self.rows += new
        out["F"] = np.array([[row["loss"], row["latency"]] for row in new])


class AnotherLabel(Mutation):  # type: ignore[misc]
    """Change each decision with probability 1/8 to any other label: pymoo's mutations of integers prefer near values."""

    def _do(self, problem: Problem, x: np.ndarray, *_: Any, random_state: Any = None, **__: Any) -> np.ndarray:
        changed = random_state.random(x.shape) < 1 / 8
        return np.where(changed, (x + random_state.integers(1, LABELS, size=x.shape)) % LABELS, x)


def pymoo_nsga2(seed: int, trials: int) -> float:
    problem = TwoMetrics()
    operators = {"crossover": UniformCrossover(prob=0.9), "mutation": AnotherLabel(prob=1.0)}
    algorithm = nsga2.NSGA2(pop_size=20, sampling=IntegerRandomSampling(), **operators)
    minimize(problem, algorithm, ("n_eval", trials), seed=seed)
    return volume(problem.rows[:trials])


def test_nsga2_reaches_what_optunas_and_pymoos_reach_and_differential_evolution_more_than_chance() -> None:
    space = Space(layer(dict, *(one_of(*range(LABELS), name=f"d{i}") for i in range(8))))
    options: dict[str, dict[str, Any]] = {"nsga2": {"population": 20}, "differential_evolution": {}, "random": {}}
    seeds = 8
    reached = {
        "Optuna": [optuna_nsga2(seed, 300) for seed in range(seeds)],
        "pymoo": [pymoo_nsga2(seed, 300) for seed in range(seeds)],
    }
    for name, arguments in options.items():
        searches = [
            search(create(name, space, TWO, **arguments), lambda a, n: two_metrics(a.values()), 300, s)
            for s in range(seeds)
        ]
        reached[name] = [volume([dict(trial.metrics) for trial in trials]) for trials in searches]
    mean = {name: np.mean(values) for name, values in reached.items()}
    for reference in ("Optuna", "pymoo"):
        error = np.hypot(np.std(reached["nsga2"], ddof=1), np.std(reached[reference], ddof=1)) / np.sqrt(seeds)
        assert abs(mean["nsga2"] - mean[reference]) < 3 * error, reference
        assert mean[reference] > mean["random"] + error, "the problem distinguishes good strategies from random search"
    assert mean["differential_evolution"] > mean["random"]


# -- differential evolution --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SPACES)
def test_every_architecture_lies_in_its_own_bin_of_the_unit_cube(name: str) -> None:
    space = SPACES[name]()
    cube = UnitCube(space)
    for number in range(60):
        architecture = space.sample(generator(3, number))
        x = cube.encode(architecture)
        assert x.shape == (cube.dimensions,)
        assert cube.decode(x) == architecture
        assert cube.from_note({"x": cube.to_note(x)}, architecture) == pytest.approx(x, abs=1e-5)


def awad_algorithm_1(np_: int, trials: int, seed: int) -> list[Architecture]:
    """Return the architectures of rand/1/bin as in the paper, with the random numbers that `ask` receives."""
    cube, x, f, architectures = UnitCube(SPACE), {}, {}, []
    for number in range(trials):
        rng, i = generator(seed, number), number % np_
        if number < np_:
            architecture = SPACE.sample(rng)
            u = cube.encode(architecture)
        else:
            r1, r2, r3 = rng.choice(np_ - 1, size=3, replace=False)
            others = [x[j] for j in range(np_) if j != i]
            v = others[r1] + 0.5 * (others[r2] - others[r3])
            v = np.where((v < 0) | (v > 1), rng.random(8), v)
            from_mutant = rng.random(8) < 0.5
            from_mutant[rng.integers(8)] = True
            u = np.where(from_mutant, v, x[i])
        u = np.round(u, 6)
        architecture = cube.decode(u)
        fitness = sum(architecture.values())
        if i not in x or fitness >= f[i]:
            x[i], f[i] = u, fitness
        architectures.append(architecture)
    return architectures


def test_differential_evolution_takes_the_steps_of_rand_1_bin() -> None:
    strategy = create("differential_evolution", SPACE, population=8)
    trials = search(strategy, lambda a, n: {"accuracy": float(sum(a.values()))}, 200, seed=4)
    assert [trial.architecture for trial in trials] == awad_algorithm_1(8, 200, seed=4)
    assert max(sum(trial.architecture.values()) for trial in trials) >= 22, "of 24"


def test_a_failed_child_does_not_replace_its_parent() -> None:
    strategy = create("differential_evolution", SPACE, population=4)
    search(strategy, lambda a, n: {"accuracy": 0.5}, 4)
    child = strategy.ask(generator(0, 4), Pending(), {})
    assert child.note["slot"] == 0
    reports = (Report(1, {"accuracy": 0.9}),)
    strategy.tell(Trial(4, child, status=Status.ERROR, reports=reports))
    assert strategy._population.members()[0].id == 0  # type: ignore[attr-defined]
    strategy.tell(Trial(4, child, status=Status.FINISHED, reports=reports))
    assert strategy._population.members()[0].id == 4  # type: ignore[attr-defined]


def test_with_several_objectives_the_members_are_the_best_of_all_trials() -> None:
    strategy = create("differential_evolution", SPACE, TWO, population=4)
    rows = [(0.1, 0.9), (0.9, 0.1), (0.5, 0.5), (0.6, 0.6), (0.7, 0.7), (0.4, 0.6), (0.3, 0.95)]
    for number, (loss, latency) in enumerate(rows):
        proposal = Proposal(random_proposal(number).architecture, note={"slot": number % 4})
        strategy.tell(finished_trial(number, proposal, loss=loss, latency=latency))
    alive = strategy._population.members().values()  # type: ignore[attr-defined]
    assert {trial.id for trial in alive} == {0, 1, 2, 5}, "the front"


def test_differential_evolution_finds_the_minimum_of_a_sphere() -> None:
    space = Space(layer(dict, *(real(0.0, 1.0, name=f"x{i}") for i in range(4))))
    strategy = Deduplicated(create("differential_evolution", space, "loss"))
    trials = search(strategy, lambda a, n: {"loss": sum((v - 0.3) ** 2 for v in a.values())}, 800)
    assert min(trial.metrics["loss"] for trial in trials) < 1e-3


def test_targets_take_turns_while_children_are_pending() -> None:
    strategy = create("differential_evolution", SPACE, population=4)
    pending: dict[int, Proposal] = {}
    for number in range(8):
        pending[number] = strategy.ask(generator(0, number), Pending(pending), {})
    assert [proposal.note["slot"] for proposal in pending.values()] == [0, 1, 2, 3, 0, 1, 2, 3]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("genetic", {"selection": "roulette"}, "selection is 'roulette', but must be one of tournament, proportional"),
        ("genetic", {"drop": "best"}, "drop is 'best', but must be one of oldest, worst"),
        ("regularized_evolution", {"drop": 1}, "drop is 1, but must be one of oldest, worst"),
        ("genetic", {"crossover": 1.5}, "crossover is 1.5, but must be a number from 0 to 1"),
        ("differential_evolution", {"population": 3}, "population is 3, but must be a whole number of at least 4"),
        ("grid", {"order": "spiral"}, "order is 'spiral', but must be one of seeded, lexicographic"),
    ],
)
def test_an_error_names_the_wrong_option(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(JobError, match=message):
        create(name, SPACE, **options)
