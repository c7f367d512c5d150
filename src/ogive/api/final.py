"""The second stage: the best of a search trained from scratch on the full training split, beside a baseline.

Every training is kept in `final/` of the run's folder, so an interrupted stage goes on where it stopped. The test split
chooses nothing: it is read once, after all trainings, for all models, and the reading is an event of the journal.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ogive.api.payload import PAYLOAD, write_payload
from ogive.errors import JobError, RunError
from ogive.report.comparison import Comparison, Network, RandomReference, write_comparison
from ogive.run.estimator import Estimator, Evaluation
from ogive.run.events import Event, Kind
from ogive.run.executors.base import Assignment, Outcome
from ogive.run.executors.processes import Processes
from ogive.run.journal import Journal
from ogive.run.settings import Settings
from ogive.schedule.base import Action
from ogive.space import Architecture
from ogive.trial import Status

if TYPE_CHECKING:
    from ogive.api.result import Run
    from ogive.estimate import Classifier

Say = Callable[[str], object]
BASELINE = "baseline"
WEIGHTS = "weights.pt"


@dataclass(frozen=True)
class Trained:
    """A network after full training with one seed; `test` are its metrics on the test split.

    Attributes:
        name: "trial 12", or "baseline".
        trial: None for the baseline.
        weights: the file with its state dict under `model`.
        training: `train_loss` of the last epoch, `parameters`, `seconds`.
    """

    name: str
    trial: int | None
    seed: int
    weights: str
    training: Mapping[str, float]
    test: Mapping[str, float]


@dataclass(frozen=True)
class _Training:
    """One training of the second stage: what `Trained` will be about."""

    name: str
    trial: int | None
    architecture: Architecture
    seed: int
    folder: Path


class FullTraining(Estimator):
    """Trains an architecture, or the baseline, on the full training split and leaves its weights in the folder."""

    def __init__(self, classifier: Classifier, epochs: int, baseline: Callable[[], Any] | None) -> None:
        self.classifier = classifier
        self.epochs = epochs
        self.baseline = baseline

    def prepare(self) -> None:
        self.classifier.task.prepare()

    def evaluate(self, evaluation: Evaluation) -> None:
        import torch

        from ogive.estimate import retrain

        judge = self.classifier
        network = _Seeded(self.baseline) if evaluation.settings[BASELINE] else evaluation.architecture
        result = retrain(
            network, judge.task, judge.training, epochs=self.epochs, seed=evaluation.seed, device=judge.device
        )
        draft = evaluation.folder / f"{WEIGHTS}.draft"
        torch.save({"model": result["state"], "metrics": result["metrics"]}, draft)
        os.replace(draft, evaluation.folder / WEIGHTS)
        evaluation.report(evaluation.until, result["metrics"])


class _Seeded:
    """A hand-drawn network that is built from a seed, as an architecture is."""

    def __init__(self, factory: Any) -> None:
        self.factory = factory

    def build(self, seed: int | None = None) -> Any:
        import torch

        with torch.random.fork_rng(devices=()):
            if seed is not None:
                torch.manual_seed(seed)
            return self.factory()


class _Listener:
    """Takes note of what the workers say."""

    def __init__(self, trainings: Sequence[_Training], say: Say) -> None:
        self.trainings = trainings
        self.say = say
        self.open = 0

    def on_report(self, trial: int, step: int, metrics: Mapping[str, float], seconds: float) -> Action:
        training = self.trainings[trial]
        loss = metrics["train_loss"]
        self.say(
            f"{training.name}, seed {training.seed}: trained in {metrics['seconds']:.1f} s, training loss {loss:.4f}"
        )
        return Action.CONTINUE

    def on_end(self, trial: int, outcome: Outcome) -> None:
        self.open -= 1
        if outcome.status is not Status.FINISHED:
            name = self.trainings[trial].name
            raise RunError(f"full training of {name} failed ({outcome.status}): {outcome.reason}\n{outcome.traceback}")

    def on_warning(self, message: str, trial: int | None = None) -> None:
        self.say(f"warning: {message}")


def finalize(
    run: Run,
    top: int = 1,
    *,
    seeds: Sequence[int] = (0,),
    epochs: int | None = None,
    baseline: Callable[[], Any] | None = None,
    random: Run | None = None,
    workers: int | None = None,
    say: Say = lambda message: None,
) -> list[Trained]:
    """Train the best `top` trials from scratch on the full training split, and the baseline under the same recipe.

    Args:
        run: a search with the built-in trainer.
        top: how many; their order stays that of the search, since the test split chooses nothing.
        seeds: each network is trained once with each.
        epochs: of full training; those of the search's recipe where None.
        baseline: makes a hand-drawn model to compare with, such as `og.zoo.baselines.small_cnn`.
        random: a random search of the same space with the same estimator; the report shows what it would have found.
        workers: trainings at a time; as in the search where None.
        say: is told what happens.

    Returns:
        one record for each network and seed, the best of the search first, the baseline last.

    Raises:
        JobError: the search did not use the built-in trainer, or has no trial with a value.
        RunError: a training failed; what is trained is kept.
    """
    from ogive.estimate import Classifier

    judge = run.estimator
    if not isinstance(judge, Classifier):
        raise JobError(
            "full training needs the built-in trainer, og.estimate.classifier(task), and this run was searched with "
            f"{type(judge).__name__}; train run.best.architecture.build() with your own program"
        )
    if not run.ended:
        say("warning: the search has not ended; what it finds later is not judged by this reading of the test split")
    if baseline is not None:
        _check_baseline(baseline)
    horizon = epochs or judge.epochs
    folder = run.folder / "final"
    trainings = _trainings(run, top, seeds, horizon, baseline is not None)
    missing = [training for training in trainings if not (training.folder / WEIGHTS).exists()]
    if missing:
        folder.mkdir(exist_ok=True)
        write_payload(folder / PAYLOAD, run.space, FullTraining(judge, horizon, baseline))
        _train(missing, folder, horizon, workers or Settings.from_json(run.state.settings).workers, say)
    results = _judge(run, trainings, judge, baseline, say)
    (folder / "results.json").write_text(json.dumps([asdict(result) for result in results], indent=1))
    if baseline is not None:
        reference = _reference(run, random) if random is not None else None
        write_comparison(_compare(results, seeds, reference), run.folder)
    return results


def _check_baseline(baseline: Any) -> None:
    import torch

    made = baseline() if callable(baseline) and not isinstance(baseline, torch.nn.Module) else None
    if not isinstance(made, torch.nn.Module):
        raise JobError(
            f"baseline={baseline!r}: a function without arguments that makes a network, not a network itself"
        )


def _trainings(run: Run, top: int, seeds: Sequence[int], epochs: int, with_baseline: bool) -> list[_Training]:
    _ = run.space  # from here on, architectures with layers
    best = run.top(top)
    if not best:
        raise JobError(f"no trial of {run.folder} has a value, so there is nothing to train in full")
    networks: list[tuple[str, int | None, Architecture]] = [
        (f"trial {trial.id}", trial.id, trial.architecture) for trial in best
    ]
    if with_baseline:
        networks.append((BASELINE, None, best[0].architecture))
    return [
        _Training(name, trial, architecture, seed, _folder(run.folder, name, seed, epochs))
        for name, trial, architecture in networks
        for seed in seeds
    ]


def _folder(run: Path, name: str, seed: int, epochs: int) -> Path:
    return run / "final" / f"{name.replace(' ', '-')}-seed-{seed}-epochs-{epochs}"


def full_weights(run: Path, trial: int) -> Path | None:
    """The weights of a trial's full training, the latest with the first seed; None where there was none."""
    found = sorted((run / "final").glob(f"trial-{trial}-seed-*/{WEIGHTS}"), key=lambda path: path.stat().st_mtime)
    first = [path for path in found if path.parent.name.startswith(f"trial-{trial}-seed-0-")] or found
    return first[-1] if first else None


def _train(trainings: Sequence[_Training], folder: Path, epochs: int, workers: int, say: Say) -> None:
    """Carry out the trainings in worker processes; Ctrl-C ends them at once, and those that are done are kept."""
    listener = _Listener(trainings, say)
    executor = Processes(folder / PAYLOAD, folder, min(workers, len(trainings)))
    waiting = list(enumerate(trainings))
    try:
        while waiting or listener.open:
            while waiting and executor.idle:
                number, training = waiting.pop(0)
                executor.submit(_assignment(number, training, epochs))
                listener.open += 1
            executor.poll(listener, 0.5)
    finally:
        executor.close()


def _assignment(number: int, training: _Training, epochs: int) -> Assignment:
    return Assignment(
        number,
        1,
        training.architecture.to_json(),
        training.architecture.id,
        {"epochs": epochs},
        training.seed,
        str(training.folder),
        {BASELINE: training.trial is None},
    )


def _judge(
    run: Run, trainings: Sequence[_Training], judge: Classifier, baseline: Callable[[], Any] | None, say: Say
) -> list[Trained]:
    """Read the test split, once for all, and judge every trained network on it."""
    import torch

    from ogive.task.trainer import evaluate

    task = judge.task
    examples = task.test(lambda split: _record_reading(run, split, say))
    results = []
    for training in trainings:
        weights = training.folder / WEIGHTS
        saved = torch.load(weights, weights_only=True)
        network = training.architecture if training.trial is not None else _Seeded(baseline)
        model = network.build(training.seed)
        model.load_state_dict(saved["model"])
        test = evaluate(model, examples, task.classes)
        results.append(Trained(training.name, training.trial, training.seed, str(weights), saved["metrics"], test))
    return results


def _reference(run: Run, random: Run) -> RandomReference:
    """The values that a random search found where its trials were trained as far as the best of the search."""
    if random.state.created["strategy"]["name"] != "random" or random.state.space.fingerprint != run.space.fingerprint:
        raise JobError(f"random={random!r}: a run of the same space with strategy='random'")
    metric = run.state.objectives[0].metric
    alike = [trial for trial in random.trials if trial.step == run.top(1)[0].step and trial.status is Status.FINISHED]
    note = f"{len(alike)} random architectures, each trained in full; {random.state.seconds:.0f} s of training"
    return RandomReference(metric, [trial.metrics[metric] for trial in alike], note)


def _compare(results: Sequence[Trained], seeds: Sequence[int], reference: RandomReference | None) -> Comparison:
    """The best of the search and the baseline, seed by seed, on the test split."""

    def network(name: str) -> Network:
        own = [result for result in results if result.name == name]
        metrics = {metric: [result.test[metric] for result in own] for metric in own[0].test}
        return Network(name, metrics, int(own[0].training["parameters"]))

    return Comparison.of(network(results[0].name), network(BASELINE), seeds, "test", reference)


def _record_reading(run: Run, split: str, say: Say) -> None:
    """Journal that the test split is read; from the second time on with a warning, since choices may follow the first."""
    before = run.state.test_reads
    journal = Journal(run.folder / "journal.db")
    try:
        journal.acquire()
        events = [Event(Kind.TEST_READ, data={"split": split, "by": "finalize"})]
        if before:
            message = f"the test split has been read before ({before}x): what was chosen since then is not tested by it"
            events.append(Event(Kind.WARNING, data={"message": message}))
            say(f"warning: {message}")
        journal.append(events)
    finally:
        journal.close()
