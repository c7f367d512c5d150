"""Malformed jobs: each error takes one line, which names the location and the remedy, and nothing is written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from ogive.errors import JobError
from ogive.job import load_job

CODE = """
    import ogive as og

    space = og.Space(og.layer(dict, a=og.one_of(1, 2, 3), b=og.integer(0, 9)))
    nothing = og.Space(og.layer(dict, a=1))
    refused = og.Space(og.layer(dict, a=og.one_of(1, 2)), constraint=lambda architecture: "a is never right")
    of_images = og.Space(og.layer(dict, a=og.one_of(1, 2)), example_input=(3, 32, 32))
    number = 3

    estimator = og.estimate.function(lambda architecture: {"accuracy": architecture["b"] / 9})

    def train(model, trial):
        trial.report(accuracy=1.0)

    def wrong_arguments(x):
        return x

    def block(width):
        return 1 / (width - 16)

    breaking = og.Space(og.layer(block, og.one_of(16)), example_input=(1, 8, 8))
    unshaped = og.Space(og.layer(block, og.one_of(16)))

    def lazy(width):
        from torch import nn

        return nn.LazyLinear(width)

    joint = og.Space(og.layer(dict, a=og.one_of(1, 2), head=og.layer(dict, lr=og.real(0.001, 0.1))))
    lazy_layers = og.Space(og.layer(lazy, og.one_of(16, 32)))

    def images():
        import torch

        return torch.rand(60, 3, 16, 16), torch.arange(60) % 3
"""
GOOD = "space: mine.py:space\ntrain: mine.py:estimator\nmax_trials: 3\n"
CASES = {
    "not YAML": ("space: [1", "job.yaml:1: not YAML", "bracket"),
    "a tab": ("space: mine.py:space\n\ttrain: x", "job.yaml:2: not YAML", "spaces"),
    "empty": ("", "job.yaml: the file is empty", "ogive init"),
    "a list": ("- space", "job.yaml:1: found ['space'] (a list)", "a mapping of keys"),
    "a key twice": (
        GOOD + "max_trials: 4\n",
        "job.yaml:4: max_trials: the key is given here and in line 3",
        "keep one",
    ),
    "a typo in a key": (
        GOOD + "strateggy: random\n",
        "job.yaml:4: strateggy: there is no key",
        "did you mean 'strategy'?",
    ),
    "a typo in a deeper key": (
        "space: mine.py:space\ntask:\n  dat: digits\n",
        "job.yaml:3: task.dat: there is no key",
        "did you mean 'data'?",
    ),
    "no space": ("train: mine.py:train\n", "job.yaml: space: the key is missing", "file.py:name"),
    "neither train nor task": ("space: mine.py:space\n", "job.yaml: found neither `train` nor `task`", "give `train"),
    "train and task": (GOOD + "task: {data: digits}\n", "job.yaml:2: train: found both `train` and `task`", "not both"),
    "a wrong type": (GOOD + "seed: many\n", "job.yaml:4: seed: found 'many' (text)", "a whole number"),
    "a truth value for a number": (
        GOOD + "parallel_trials: yes\n",
        "job.yaml:4: parallel_trials: found True",
        "a whole number",
    ),
    "out of range": (GOOD + "budget: -1\n", "job.yaml:4: budget.hours: found -1", "above 0"),
    "more workers than cores": (
        GOOD + "parallel_trials: 4096\n",
        "job.yaml:4: parallel_trials: found 4096 trials at a time for",
        "at most",
    ),
    "an unknown file": (
        "space: spaces.py:space\ntrain: mine.py:train\n",
        "job.yaml:1: space: there is no file spaces.py",
        "Python files beside the job: broken.py, empty.py, mine.py",
    ),
    "no name": ("space: mine.py\ntrain: mine.py:train\n", "job.yaml:1: space: found 'mine.py'", "'file.py:name'"),
    "an unknown name": (
        "space: mine.py:spcae\ntrain: mine.py:train\n",
        "job.yaml:1: space: mine.py: there is no name 'spcae'",
        "did you mean 'space'?",
    ),
    "an import error in the user's file": (
        "space: broken.py:space\ntrain: mine.py:train\n",
        "broken.py:3: ModuleNotFoundError: No module named 'no_such_package'",
        "install",
    ),
    "a syntax error in the user's file": (
        "space: syntax.py:space\ntrain: mine.py:train\n",
        "syntax.py:2: SyntaxError",
        "fix the file",
    ),
    "a wrong space in the user's file": (
        "space: empty.py:space\ntrain: mine.py:train\n",
        "empty.py:2: one_of() needs",
        "at least one alternative",
    ),
    "no space at all": (
        "space: mine.py:number\ntrain: mine.py:train\n",
        "job.yaml:1: space: mine.py:number is an object of class builtins.int",
        "og.Space(number",
    ),
    "an empty space": (
        "space: mine.py:nothing\ntrain: mine.py:estimator\n",
        "job.yaml:1: space: the space is empty",
        "declare a choice",
    ),
    "a space whose constraint refuses all": (
        "space: mine.py:refused\ntrain: mine.py:estimator\n",
        "job.yaml:1: space: the constraint allows none of 1000 samples",
        "a is never right",
    ),
    "a train function with other arguments": (
        "space: mine.py:space\ntrain: mine.py:wrong_arguments\n",
        "job.yaml:2: train: wrong_arguments(x) cannot be called",
        "a function of (model, trial)",
    ),
    "an unknown zoo": ("space: {zoo: chains}\ntask: {}\n", "job.yaml:1: space.zoo.chains", "did you mean 'chain'?"),
    "an unknown option of the zoo": (
        "space:\n  zoo:\n    chain: {depht: [2, 3]}\ntask: {}\n",
        "job.yaml:3: space.zoo.chain.depht: there is no option of 'chain'",
        "did you mean 'depth'?",
    ),
    "an unknown strategy": (
        GOOD + "strategy: regularised_evolution\n",
        "job.yaml:4: strategy.regularised_evolution: there is no strategy",
        "did you mean 'regularized_evolution'?",
    ),
    "an unknown option of a strategy": (
        GOOD + "strategy:\n  local_search:\n    inital: 3\n",
        "job.yaml:6: strategy.local_search.inital: there is no option",
        "did you mean 'initial'?",
    ),
    "an option out of range": (
        GOOD + "strategy:\n  regularized_evolution:\n    sample: 5\n    population: 0\n",
        "job.yaml:7: strategy.regularized_evolution.population: ",
        "at least 1",
    ),
    "an unknown schedule": (GOOD + "schedule: ahsa\n", "job.yaml:4: schedule.ahsa", "did you mean 'asha'?"),
    "a schedule that lacks epochs": (GOOD + "schedule: asha\n", "job.yaml:4: schedule.asha: ", "give epochs"),
    "a metric of the training part": (
        GOOD + "objectives: [{metric: train_accuracy, goal: maximize}]\n",
        "job.yaml:4: objectives[0]: the name of objective 'train_accuracy' says that it is measured on the training part",
        "Use a metric of the validation part",
    ),
    "a metric whose name implies no goal": (
        GOOD + "objectives: [speed]\n",
        "job.yaml:4: objectives[0]: objective 'speed' needs a goal",
        "{metric: speed, goal: maximize}",
    ),
    "a wrong goal": (
        GOOD + "objectives:\n  - {metric: speed, goal: max}\n",
        "job.yaml:5: objectives[0].goal: found 'max'",
        "maximize or minimize",
    ),
    "a metric that the trainer does not report": (
        "space: {zoo: chain}\ntask: {}\nobjectives: val_accuracy\n",
        "job.yaml:3: objectives[0]: there is no metric of the built-in trainer 'val_accuracy'",
        "did you mean 'accuracy'?",
    ),
    "a constraint without threshold": (
        GOOD + "constraints:\n  - {metric: parameters}\n",
        "job.yaml:5: constraints[0]: ",
        "exactly one of at_most and at_least",
    ),
    "contradicting constraints": (
        GOOD + "constraints:\n  - {metric: a, at_least: 3}\n  - {metric: a, at_most: 2}\n",
        "job.yaml:4: constraints: nothing satisfies a >= 3 and a <= 2",
        "a <= 2",
    ),
    "a hard constraint on a metric that is unknown before training": (
        GOOD + "constraints:\n  - {metric: parametres, at_most: 10, hard: true}\n",
        "job.yaml:4: constraints: the constraint on 'parametres' is hard, but the estimator does not know 'parametres'",
        "did you mean 'parameters'? Otherwise make the constraint soft",
    ),
    "a zoo's space for other images": (
        "space: {zoo: chain}\ntask: {data: mine.py:images}\n",
        "job.yaml:1: space: its example_input is (1, 8, 8), but the examples",
        "have the shape (3, 16, 16); write `space: {zoo: {chain: {in_channels: 3, image: 16}}}`",
    ),
    "a webhook whose variable is not set": (
        GOOD + "alerts: [{webhook: 'env:NO_SUCH_ADDRESS'}]\n",
        "job.yaml:4: alerts[0]: webhook 'env:NO_SUCH_ADDRESS'",
        "set it to https://",
    ),
    "a hard constraint that nothing satisfies": (
        "space: {zoo: {chain: {depth: [2, 2], channels: [16], kernels: [3, 5]}}}\ntask: {}\n"
        "constraints:\n  - {metric: parameters, at_most: 10, hard: true}\n",
        "job.yaml:3: constraints: none of 4 proposals satisfies the hard constraints",
        "Loosen the constraint",
    ),
    "a factory that fails": (
        "space: mine.py:breaking\ntask: {}\nconstraints:\n  - {metric: parameters, at_most: 10, hard: true}\n",
        "mine.py:19: ZeroDivisionError: division by zero",
        "fix the file",
    ),
    "a factory that fails, without a preflight": (
        "space: mine.py:unshaped\ntrain: mine.py:train\n",
        "mine.py:19: ZeroDivisionError: division by zero",
        "fix the file",
    ),
    "lazy layers without example_input": (
        "space: mine.py:lazy_layers\ntrain: mine.py:train\n",
        "job.yaml:1: space: no sampled architecture can be built; the first error: the lazy layer",
        "needs Space(..., example_input=...)",
    ),
    "an unknown data set": (
        "space: {zoo: chain}\ntask: {data: digit}\n",
        "job.yaml:2: task.data: there is no data set 'digit'",
        "did you mean 'digits'?",
    ),
    "a split out of range": (
        "space: {zoo: chain}\ntask:\n  test: 1.5\n",
        "job.yaml:3: task.test: split: test is 1.5",
        "a share between 0 and 1",
    ),
    "a split that is too large": (
        "space: {zoo: chain}\ntask: {test: 1700, validation: 500}\n",
        "job.yaml:2: task: ",
        "reduce the sizes",
    ),
    "a recipe out of range": (
        "space: {zoo: chain}\ntask: {}\nrecipe:\n  epochs: 3\n  learning_rate: 0\n",
        "job.yaml:5: recipe.learning_rate: ",
        "above 0",
    ),
    "a wrong type in the recipe": (
        "space: {zoo: chain}\ntask: {}\nrecipe: {batch_size: large}\n",
        "job.yaml:3: recipe.batch_size: found 'large' (text)",
        "a whole number",
    ),
    "more epochs than the recipe": (
        "space: {zoo: chain}\ntask: {}\nrecipe: {epochs: 3}\nepochs: 4\n",
        "job.yaml:4: epochs: found 4",
        "raise recipe.epochs",
    ),
    "a recipe without the trainer": (GOOD + "recipe: {epochs: 3}\n", "job.yaml:4: recipe: belongs to", "give `task`"),
    "images of another shape": (
        "space: mine.py:of_images\ntask: {}\n",
        "job.yaml:1: space: its example_input is (3, 32, 32)",
        "(1, 8, 8)",
    ),
    "limits inline": (
        GOOD + "executor: inline\ntime_limit: 3\n",
        "job.yaml:5: time_limit: `executor: inline`",
        "use `executor: processes`",
    ),
    "an unknown executor": (
        GOOD + "executor: simulate\n",
        "job.yaml:4: executor: found 'simulate'",
        "processes, inline, simulated",
    ),
    "an executor of a wrong type": (
        GOOD + "executor: 3\n",
        "job.yaml:4: executor: found 3",
        "{simulated: {option: value}}",
    ),
    "simulated workers with unknown durations": (
        GOOD + "parallel_trials: 1000\nexecutor: {simulated: {startup: 30}}\n",
        "job.yaml:5: executor: 'simulated' needs the duration of each trial in advance, which an estimator made by "
        "og.estimate.function does not know",
        "og.bench.estimator(problem)",
    ),
    "a fault out of range": (
        GOOD + "executor: {simulated: {startup: -30}}\n",
        "job.yaml:4: executor: startup=-30",
        "a number from 0",
    ),
    "a plan of simulated workers": (
        GOOD + "executor: simulated\nparallel_trials: auto\n",
        "job.yaml:5: parallel_trials: `executor: simulated` has no cores",
        "give a number",
    ),
    "limits of simulated workers": (
        GOOD + "executor: simulated\ntime_limit: 3\n",
        "job.yaml:5: time_limit: `executor: simulated` trains nothing",
        "leave this key out",
    ),
    "the name of the Python argument": (
        GOOD + "workers: 2\n",
        "job.yaml:4: workers: there is no key",
        "it is called 'parallel_trials'",
    ),
    "the name in other toolkits": (
        GOOD + "search_space: x\n",
        "job.yaml:4: search_space: there is no key",
        "in a job it is called 'space'",
    ),
    "an empty budget": (GOOD + "budget: {}\n", "job.yaml:4: budget: found {}", "{hours: h, money: m}"),
    "an unknown key in the budget": (
        GOOD + "budget: {days: 1}\n",
        "job.yaml:4: budget.days: there is no key 'days'",
        "known names: hours, money",
    ),
    "money without a price": (
        GOOD + "budget: {money: 5}\n",
        "job.yaml:4: budget.money: money is limited",
        "give `price`",
    ),
    "a price below 0": (GOOD + "price: -2\n", "job.yaml:4: price: found -2", "money per worker-hour, above 0"),
    "an unknown price": (GOOD + "price: h1000\n", "job.yaml:4: price: ", "did you mean 'h100'?"),
    "an unknown price file": (GOOD + "price: prices.yaml:h100\n", "job.yaml:4: price: ", "prices.yaml"),
    "a price without a value": (GOOD + "price:\n", "job.yaml:4: price: found nothing", "a name in the price file"),
    "confirmation without a price": (
        GOOD + "confirm_above: 10\n",
        "job.yaml:4: confirm_above: is an amount of money",
        "give `price`",
    ),
    "a split beside a plan of splits": (
        GOOD + "parallel_trials: auto\nworkers_per_trial: 2\n",
        "job.yaml:5: workers_per_trial: found 2 beside `parallel_trials: auto`",
        "leave this key out, or give `parallel_trials` a number",
    ),
    "an unknown stop rule": (GOOD + "stop: never\n", "job.yaml:4: stop: found 'never'", "advise or auto"),
    "patience of 0": (GOOD + "patience: 0\n", "job.yaml:4: patience: found 0", "above 0"),
    "criteria that are no list": (
        GOOD + "criteria: {accuracy: 0.9}\n",
        "job.yaml:4: criteria: found {'accuracy': 0.9}",
        "{metric: accuracy, at_least: 0.95}",
    ),
    "a criterion that is hard": (
        GOOD + "criteria:\n  - {metric: accuracy, at_least: 0.9, hard: true}\n",
        "job.yaml:5: criteria[0].hard: there is no key 'hard'",
        "at_least",
    ),
    "a criterion without threshold": (
        GOOD + "criteria:\n  - {metric: accuracy}\n",
        "job.yaml:5: criteria[0]: ",
        "exactly one of at_most and at_least",
    ),
    "a criterion that the trainer does not report": (
        "space: {zoo: chain}\ntask: {}\ncriteria: [{metric: latency, at_most: 3}]\n",
        "job.yaml:3: criteria[0].metric: there is no metric of the built-in trainer 'latency'",
        "accuracy",
    ),
    "an unknown alert": (GOOD + "alerts: [email]\n", "job.yaml:4: alerts[0]: found 'email'", "webhook"),
    "a webhook that is no URL": (
        GOOD + "alerts:\n  - console\n  - {webhook: example}\n",
        "job.yaml:6: alerts[1]: webhook: found 'example'",
        "https://",
    ),
    "an unknown sink": (GOOD + "sinks: [tensorbord]\n", "job.yaml:4: sinks[0]: ", "did you mean 'tensorboard'?"),
    "an unknown option of a sink": (
        GOOD + "sinks:\n  - {csv: {pat: x}}\n",
        "job.yaml:5: sinks[0]: ",
        "did you mean 'path'?",
    ),
    "an initial architecture of another space": (
        GOOD + "initial:\n  - {a: 1, b: 3}\n  - {a: 7, b: 3}\n",
        "job.yaml:6: initial[1]: decision 'a': ",
        "7",
    ),
    "an initial architecture of a wrong type": (
        GOOD + "initial: [3]\n",
        "job.yaml:4: initial[0]: found 3",
        "{decision: label",
    ),
    "a learning rate in the space": (
        "space: mine.py:joint\ntrain: mine.py:train\n",
        "job.yaml:1: space: 'head.lr': by the name this is a setting of training",
        "set `joint: true`",
    ),
    "two ways to split": (
        "space: {zoo: chain}\ntask: {split: 70/15/15, test: 0.2}\n",
        "job.yaml:2: task: both split='70/15/15' and test are set",
        "use either split or",
    ),
    "a split that does not add up": (
        "space: {zoo: chain}\ntask:\n  split: 70/20/20\n",
        "job.yaml:3: task.split: ",
        "add up to 100, such as 70/15/15",
    ),
    "no examples": (
        "space: {zoo: chain}\ntask: {}\nproxy:\n  data_fraction: 0\n",
        "job.yaml:4: proxy.data_fraction: found 0",
        "above 0 and at most 1",
    ),
    "too few examples for the classes": (
        "space: {zoo: chain}\ntask: {}\nproxy:\n  data_fraction: 0.001\n",
        "job.yaml:4: proxy.data_fraction: ",
        "at least one example of each class",
    ),
    "a proxy without the trainer": (
        GOOD + "proxy: {data_fraction: 0.5}\n",
        "job.yaml:4: proxy: belongs to",
        "give `task`",
    ),
    "full training of no trial": (GOOD + "finalize: {top: 0}\n", "job.yaml:4: finalize.top: found 0", "at least 1"),
    "a typo in full training": (
        GOOD + "finalize: {tpo: 3}\n",
        "job.yaml:4: finalize.tpo: there is no key",
        "did you mean 'top'?",
    ),
    "a recipe of full training out of range": (
        "space: {zoo: chain}\ntask: {}\nfinalize:\n  recipe:\n    learning_rate: -1\n",
        "job.yaml:5: finalize.recipe.learning_rate: ",
        "above 0",
    ),
    "a recipe of full training that is unknown": (
        "space: {zoo: chain}\ntask: {}\nfinalize:\n  recipe:\n    learning_rat: 1\n",
        "job.yaml:5: finalize.recipe.learning_rat: ",
        "learning_rate",
    ),
    "no phases": (GOOD + "phases: {}\n", "job.yaml:4: phases: found no phase", "at least one"),
    "phases in a list": (GOOD + "phases: [smoke]\n", "job.yaml:4: phases: found ['smoke']", "{smoke: {max_trials: 4}"),
    "an empty phase": (
        GOOD + "phases:\n  smoke:\n",
        "job.yaml:5: phases.smoke: found nothing",
        "the keys that this phase changes",
    ),
    "an empty phase with the name of a key": (
        GOOD + "phases:\n  seed:\n",
        "job.yaml:5: phases.seed: found nothing",
        "the keys that this phase changes",
    ),
    "a decision with the name of a key": (
        GOOD + "only: {seed: 3}\n",
        "job.yaml:4: only.seed: found 3",
        "the labels to keep",
    ),
    "a phase whose name is not a valid folder name": (
        GOOD + "phases:\n  a/b: {}\n",
        "job.yaml:5: phases.a/b: ",
        "a name of letters",
    ),
    "a typo in a phase": (
        GOOD + "phases:\n  smoke: {max_trails: 3}\n",
        "job.yaml:5: phases.smoke.max_trails: there is no key",
        "did you mean 'max_trials'?",
    ),
    "a key that a phase cannot change": (
        GOOD + "phases:\n  smoke: {space: x}\n",
        "job.yaml:5: phases.smoke.space: there is no key",
        "known names: proxy",
    ),
    "a phase out of range": (
        GOOD + "phases:\n  smoke:\n    max_trials: 0\n",
        "job.yaml:6: phases.smoke.max_trials: found 0",
        "at least 1",
    ),
    "an unknown strategy of a phase": (
        GOOD + "phases:\n  smoke:\n    strategy: randm\n",
        "job.yaml:6: phases.smoke.strategy",
        "did you mean 'random'?",
    ),
    "an option of a phase's strategy": (
        GOOD + "phases:\n  smoke:\n    strategy: {regularized_evolution: {population: 0}}\n",
        "job.yaml:6: phases.smoke.strategy.regularized_evolution.population",
        "at least 1",
    ),
    "a phase longer than its recipe": (
        "space: {zoo: chain}\ntask: {}\nrecipe: {epochs: 3}\nphases:\n  smoke:\n    epochs: 9\n",
        "job.yaml:6: phases.smoke.epochs: found 9",
        "raise recipe.epochs",
    ),
    "an unknown key in a go rule": (
        GOOD + "phases:\n  smoke:\n    go: {accuracy: 0.5}\n",
        "job.yaml:6: phases.smoke.go.accuracy: there is no key",
        "known names: best, failed, learns",
    ),
    "a share of failures above 1": (
        GOOD + "phases:\n  smoke:\n    go: {failed: 3}\n",
        "job.yaml:6: phases.smoke.go.failed: found 3",
        "from 0 to 1",
    ),
    "a go rule without threshold": (
        GOOD + "phases:\n  smoke:\n    go:\n      best: [{metric: accuracy}]\n",
        "job.yaml:7: phases.smoke.go.best[0]: ",
        "exactly one of at_most and at_least",
    ),
    "a go rule on a metric that is not reported": (
        "space: {zoo: chain}\ntask: {}\nphases:\n  smoke:\n    go:\n      best: [{metric: speed, at_least: 1}]\n",
        "job.yaml:6: phases.smoke.go.best: there is no metric of the built-in trainer 'speed'",
        "accuracy",
    ),
    "learning without a task": (
        GOOD + "phases:\n  smoke:\n    go: {learns: true}\n",
        "job.yaml:6: phases.smoke.go.learns: found true, but the accuracy of guessing",
        "give `best:",
    ),
    "full training first": (
        GOOD + "phases:\n  full:\n    finalize: {}\n",
        "job.yaml:6: phases.full.finalize: there is no phase before it",
        "best",
    ),
    "full training in the middle": (
        GOOD + "phases:\n  a: {}\n  full: {finalize: {}}\n  b: {}\n",
        "job.yaml:6: phases.full.finalize: full training of the best comes last",
        "move it to the end",
    ),
    "full training that also searches": (
        GOOD + "phases:\n  a: {}\n  full: {finalize: {}, max_trials: 3}\n",
        "job.yaml:6: phases.full.max_trials: this phase does full training",
        "leave this key out",
    ),
    "full training twice": (
        GOOD + "phases:\n  a: {}\nfinalize: {}\n",
        "job.yaml:6: finalize: the job has phases",
        "under `phases`",
    ),
    "a baseline that cannot be called": (
        GOOD + "baseline: mine.py:number\n",
        "job.yaml:4: baseline: mine.py:number is an object",
        "a function without arguments",
    ),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(dedent(CODE))
    (tmp_path / "broken.py").write_text("import ogive\n\nimport no_such_package\n")
    (tmp_path / "syntax.py").write_text("\nspace = (1\n")
    (tmp_path / "empty.py").write_text("import ogive as og\nspace = og.Space(og.one_of())\n")
    return tmp_path


@pytest.mark.parametrize("name", CASES)
def test_the_error_of_a_malformed_job_takes_one_line(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text, location, remedy = CASES[name]
    monkeypatch.chdir(folder)
    (folder / "job.yaml").write_text(text)
    with pytest.raises(JobError) as caught:
        load_job("job.yaml")
    message = str(caught.value)
    assert location in message
    assert remedy in message
    assert message.startswith("job.yaml")
    assert message.count("job.yaml") == 1
    assert "\n" not in message
    assert not (folder / "runs").exists()


def test_every_wrong_key_has_a_line(folder: Path) -> None:
    (folder / "job.yaml").write_text("space: mine.py:space\nsede: 3\nparallel_trials: two\n")
    with pytest.raises(JobError) as caught:
        load_job(folder / "job.yaml")
    first, second = str(caught.value).splitlines()
    assert "job.yaml:2: sede" in second
    assert "job.yaml:3: parallel_trials" in first


def test_an_error_names_the_option_of_the_command_line(folder: Path) -> None:
    (folder / "job.yaml").write_text(GOOD)
    with pytest.raises(JobError, match=r"^--max-trials: found 0"):
        load_job(folder / "job.yaml", {"max_trials": 0})


def test_the_command_prints_the_error_and_fails(folder: Path) -> None:
    (folder / "job.yaml").write_text("space: mine.py:space\ntrain: mine.py:estimator\nmax_trails: 3\n")
    command = [sys.executable, "-m", "ogive", "search", "job.yaml"]
    process = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert process.returncode == 2
    assert process.stdout == ""
    assert process.stderr.splitlines() == [process.stderr.strip()]
    assert process.stderr.startswith(
        "error: job.yaml:3: max_trails: there is no key 'max_trails'; did you mean 'max_trials'?"
    )
    assert {path.name for path in folder.iterdir()} <= {*"job.yaml mine.py broken.py syntax.py empty.py".split()}


@pytest.mark.parametrize(
    "key", ["space", "train", "objectives", "constraints", "strategy", "schedule", "baseline", "run"]
)
@pytest.mark.parametrize(
    "value", ["", "[]", "{}", "3", ".nan", "no", "x:y:z", "[[1]]", "{a: {b: {c: 1}}}", "'..'", "':'"]
)
def test_the_error_of_any_value_names_its_location(
    key: str, value: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    job = {"space": "mine.py:space", "train": "mine.py:estimator", "max_trials": "3", key: value}
    (folder / "job.yaml").write_text("".join(f"{name}: {text}\n" for name, text in job.items()))
    message = load_error(Path("job.yaml"))
    if message is not None:
        assert all(text.startswith(f"job.yaml:{list(job).index(key) + 1}: {key}") for text in message.splitlines())
    else:
        valid = {"constraints": ["[]"], "baseline": [""], "run": ["", "x:y:z", "'..'", "':'"]}
        assert value in valid.get(key, [])


@pytest.mark.parametrize("key", ["task", "recipe"])
@pytest.mark.parametrize(
    "inside", ["data", "test", "validation", "train", "seed", "device", "epochs", "optimizer", "warmup"]
)
@pytest.mark.parametrize("value", ["", "[]", "-3", "{}", "1.5", "x"])
def test_the_error_of_any_value_in_task_and_recipe_names_its_location(
    key: str, inside: str, value: str, tmp_path: Path
) -> None:
    text = "space: {zoo: chain}\ntask: {}\nrecipe: {}\n".replace(f"{key}: {{}}", f"{key}:\n  {inside}: {value}")
    (tmp_path / "job.yaml").write_text(text)
    line = 3 if key == "task" else 4
    message = load_error(tmp_path / "job.yaml")
    if message is not None:
        assert message.startswith(f"{tmp_path / 'job.yaml'}:{line}: {key}.{inside}: ")
        assert message.count("job.yaml") == 1
    else:
        assert (key, inside, value) in {("task", "train", ""), ("recipe", "warmup", "1.5")}


def load_error(path: Path) -> str | None:
    """Return the error of a job; None if the job is valid."""
    try:
        load_job(path)
    except JobError as error:
        return str(error)
    return None
