"""The live trial: steps, answers to reports, and the files on disk after a crash."""

from __future__ import annotations

import pickle
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from trial_driver import ARCHITECTURE, Dead, Driver, die_at

from ogive.errors import JobError, RunError
from ogive.estimate import LiveTrial, load_checkpoint
from ogive.schedule.base import Action


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def make_train_function(
    order: str, trained_epochs: list[int], restore: bool = True
) -> Callable[[Any, LiveTrial], None]:
    """Return a train function whose state is the sum of its epochs.

    Args:
        order: the calls in each epoch: "c" for `checkpoint`, "r" for `report`.
        trained_epochs: receives the epochs that are trained.
        restore: whether the function restores its state.
    """

    def f(model: Any, trial: LiveTrial) -> None:
        state = (trial.restore() if restore else None) or {"sum": 0}
        for epoch in trial.epochs():
            trained_epochs.append(epoch)
            state["sum"] += epoch
            for action in order:
                if action == "c":
                    trial.checkpoint(**state)
                else:
                    trial.report(sum=state["sum"], **({"first": 1} if epoch == 1 else {}))

    return f


ALL_REPORTS = {step: {"sum": step * (step + 1) / 2, "first": 1.0} for step in range(1, 6)}


@pytest.mark.parametrize("order", ["cr", "rc", "r"])
@pytest.mark.parametrize("restore", [True, False])
def test_after_a_crash_at_any_moment_every_report_is_sent_once(tmp_path: Path, order: str, restore: bool) -> None:
    """Metrics that are not reported again keep their values, also after a crash."""
    for crash_step in range(1, 6):
        for moment in ("before the report is stored", "after it", "in the next epoch"):
            driver, trained_epochs = Driver(tmp_path / f"{crash_step}-{moment}"), []
            driver.folder.mkdir()
            f = make_train_function(order, trained_epochs, restore)

            def crashing(
                model: Any, trial: LiveTrial, f: Any = f, crash_step: int = crash_step, moment: str = moment
            ) -> None:
                epochs = trial.epochs

                def epochs_until_crash() -> Any:
                    for epoch in epochs():
                        if moment == "in the next epoch" and epoch == crash_step + 1:
                            raise Dead
                        yield epoch

                trial.epochs = epochs_until_crash  # type: ignore[method-assign]
                f(model, trial)

            def answer_after_crash_step(step: int, driver: Driver = driver, crash_step: int = crash_step) -> Action:
                if step == crash_step + 1:
                    raise Dead
                return Action.CONTINUE

            answer = {"before the report is stored": die_at(crash_step), "after it": answer_after_crash_step}.get(
                moment
            )
            if crash_step < 5 or moment == "before the report is stored":
                with pytest.raises(Dead):
                    driver.run(crashing, 5, **({"answer": answer} if answer else {}))
            assert driver.run(f, 5) == ALL_REPORTS
            if order == "cr" and restore:
                assert trained_epochs.count(crash_step) == 1, "an existing checkpoint was not used"


def test_a_stored_report_that_the_journal_lacks_is_sent_before_training(tmp_path: Path) -> None:
    driver, trained_epochs = Driver(tmp_path), []
    with pytest.raises(Dead):
        driver.run(make_train_function("cr", trained_epochs), 3, answer=die_at(3))
    assert list(driver.reports) == [1, 2]
    assert driver.run(make_train_function("cr", trained_epochs), 3) == {step: ALL_REPORTS[step] for step in (1, 2, 3)}
    assert trained_epochs == [1, 2, 3]


@pytest.mark.parametrize("action", [Action.PAUSE, Action.STOP])
def test_the_answer_to_a_stored_report_counts(tmp_path: Path, action: Action) -> None:
    driver, trained_epochs = Driver(tmp_path), []
    with pytest.raises(Dead):
        driver.run(make_train_function("cr", trained_epochs), 5, answer=die_at(3))
    driver.run(make_train_function("cr", trained_epochs), 5, answer=lambda step: action)
    assert trained_epochs == [1, 2, 3]
    assert list(driver.reports) == [1, 2, 3]


@pytest.mark.parametrize("order", ["cr", "rc", "r"])
def test_a_pause_ends_the_epochs_and_training_continues_after_it(tmp_path: Path, order: str) -> None:
    driver, trained_epochs = Driver(tmp_path), []
    driver.run(make_train_function(order, trained_epochs), 5, answer=lambda step: Action.PAUSE)
    assert list(driver.reports) == trained_epochs == [1]
    driver.run(make_train_function(order, trained_epochs), 3)
    assert driver.run(make_train_function(order, trained_epochs), 5) == ALL_REPORTS
    assert trained_epochs == ([1, 2, 3, 4, 5] if "c" in order else [1, 1, 2, 3, 1, 2, 3, 4, 5])


def test_there_is_a_complete_checkpoint_at_every_moment(tmp_path: Path) -> None:
    driver = Driver(tmp_path)
    files: list[list[str]] = []

    def answer(step: int) -> Action:
        files.append(files_in(tmp_path))
        assert load_checkpoint(tmp_path) == {"sum": step * (step + 1) / 2}
        return Action.CONTINUE

    (tmp_path / "checkpoint-best.pt").write_text("the user's own")
    driver.run(make_train_function("cr", []), 3, answer=answer)
    assert files[1] == ["checkpoint-2.json", "checkpoint-2.pickle", "checkpoint-best.pt"]
    assert files_in(tmp_path) == ["checkpoint-3.json", "checkpoint-3.pickle", "checkpoint-best.pt"]


def test_files_of_a_killed_attempt_are_ignored_and_deleted(tmp_path: Path) -> None:
    driver, trained_epochs = Driver(tmp_path), []
    driver.run(make_train_function("cr", trained_epochs), 2)
    (tmp_path / "checkpoint-3.pt.tmp").write_bytes(b"incomplete")
    (tmp_path / "checkpoint-3.json").write_text('{"step": 3, "metr')  # without the state, there is no checkpoint
    assert driver.run(make_train_function("cr", trained_epochs), 5) == ALL_REPORTS
    assert trained_epochs == [1, 2, 3, 4, 5]
    assert files_in(tmp_path) == ["checkpoint-5.json", "checkpoint-5.pickle"]


def test_a_checkpoint_without_a_report_is_used_but_its_epoch_is_not_reported(tmp_path: Path) -> None:
    """Reports every second epoch: the checkpoint of epoch 3 is committed when epoch 4 starts, the last one at the end."""
    driver, trained_epochs = Driver(tmp_path), []

    def f(model: Any, trial: LiveTrial) -> None:
        trial.restore()
        for epoch in trial.epochs():
            trained_epochs.append(epoch)
            trial.checkpoint(epoch=epoch)
            if epoch == 4 and trained_epochs.count(4) == 1:
                raise Dead
            if epoch % 2 == 0:
                trial.report(epoch=epoch)

    with pytest.raises(Dead):
        driver.run(f, 5)
    assert driver.run(f, 5) == {step: {"epoch": step} for step in (2, 4)}
    assert trained_epochs == [1, 2, 3, 4, 4, 5]
    assert load_checkpoint(tmp_path) == {"epoch": 5}


def test_a_checkpoint_after_its_report_is_committed_at_once(tmp_path: Path) -> None:
    def f(model: Any, trial: LiveTrial) -> None:
        for epoch in trial.epochs():
            trial.report(x=1)
            trial.checkpoint(epoch=epoch)
            assert load_checkpoint(tmp_path) == {"epoch": epoch}

    Driver(tmp_path).run(f, 2)


def test_a_report_after_the_loop_belongs_to_the_last_epoch(tmp_path: Path) -> None:
    def f(model: Any, trial: LiveTrial) -> None:
        trial.restore()
        for epoch in trial.epochs():
            trial.checkpoint(epoch=epoch)
        trial.report(epochs=trial.epoch)

    with pytest.raises(Dead):
        Driver(tmp_path).run(f, 4, answer=die_at(4))
    assert Driver(tmp_path).run(f, 4) == {4: {"epochs": 4}}


def test_train_functions_with_their_own_loop_end(tmp_path: Path) -> None:
    epochs_run: list[int] = []

    def f(model: Any, trial: LiveTrial) -> None:
        for epoch in range(1, 100):
            epochs_run.append(epoch)
            try:
                trial.report(epoch=epoch)
            except Exception:  # noqa: BLE001 - a train function that suppresses all errors must end as well
                epochs_run.append(-1)

    driver = Driver(tmp_path)
    driver.run(f, 9, answer=lambda step: Action.PAUSE if step == 2 else Action.CONTINUE)
    assert epochs_run == [1, 2, 3]
    assert driver.run(f, 4) == {step: {"epoch": step} for step in (1, 2, 3, 4)}
    assert epochs_run == [1, 2, 3, 1, 2, 3, 4, 5]
    driver.run(f, 4)
    assert epochs_run[-1] == 5, "the trial had all its reports, but was trained again"


def test_a_restored_state_equals_the_saved_one(tmp_path: Path) -> None:
    layer = torch.nn.Linear(2, 2)
    saved_state: dict[str, Any] = {
        "model": layer.state_dict(),
        "array": np.arange(6, dtype=np.float32).reshape(2, 3),
        "scalar": np.float64(0.1),
        "random": random.Random(1).getstate(),
        "nested": {"a": [1, None, (2.5, "x")], 3: True},
    }
    states: list[dict[str, Any]] = []

    def f(model: Any, trial: LiveTrial) -> None:
        state = trial.restore()
        if state is not None:
            states.append(state)
        for _ in trial.epochs():
            trial.checkpoint(**saved_state)
            layer.weight.data += 1  # later changes are not in the checkpoint
            trial.report(x=1)

    weight = layer.weight.detach().clone()
    for suffix in ("pt", "pickle"):
        if suffix == "pickle":
            del saved_state["model"]
        driver = Driver(tmp_path / suffix)
        driver.folder.mkdir()
        driver.run(f, 1)
        assert files_in(driver.folder) == ["checkpoint-1.json", f"checkpoint-1.{suffix}"]
        driver.run(f, 2)
        restored = states.pop()
        assert restored["array"].dtype == np.float32
        np.testing.assert_array_equal(restored["array"], saved_state["array"])
        assert {name: restored[name] for name in ("scalar", "random", "nested")} == {
            name: saved_state[name] for name in ("scalar", "random", "nested")
        }
        assert suffix == "pickle" or torch.equal(restored["model"]["weight"], weight)


def test_a_state_that_cannot_be_read_back_is_an_error_when_it_is_saved(tmp_path: Path) -> None:
    def f(model: Any, trial: LiveTrial) -> None:
        for _ in trial.epochs():
            trial.checkpoint(model=model.state_dict(), extra={"net": [model]})

    with pytest.raises(JobError, match=r"state\['extra'\]\['net'\]\[0\] is a torch.nn.modules.container.Sequential"):
        Driver(tmp_path).run(f)
    assert files_in(tmp_path) == []


class Malicious:
    """Creates a file if it is unpickled without restrictions."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return open, (str(self.path), "w")


@pytest.mark.parametrize("suffix", ["pickle", "pt"])
def test_a_malicious_file_is_an_error_and_runs_no_code(tmp_path: Path, suffix: str) -> None:
    with (tmp_path / f"checkpoint-1.{suffix}").open("wb") as file:
        (torch.save if suffix == "pt" else pickle.dump)({"model": Malicious(tmp_path / "ran")}, file)
    with pytest.raises(RunError, match=f"checkpoint-1.{suffix}: the checkpoint cannot be read"):
        load_checkpoint(tmp_path / f"checkpoint-1.{suffix}")
    assert not (tmp_path / "ran").exists()


def test_numbers_of_all_kinds_are_metrics(tmp_path: Path) -> None:
    def f(model: Any, trial: LiveTrial) -> None:
        trial.report(a=1, b=np.float32(0.5), c=torch.tensor(2.0, requires_grad=True), d=np.array([3]), e=float("nan"))

    (metrics,) = Driver(tmp_path).run(f).values()
    assert {name: metrics[name] for name in "abcd"} == {"a": 1.0, "b": 0.5, "c": 2.0, "d": 3.0}
    assert np.isnan(metrics["e"])


@pytest.mark.parametrize(
    "value", ["0.9", None, True, 1j, [1.0], torch.zeros(2), np.zeros((2, 2)), torch.tensor(True)], ids=repr
)
def test_metrics_that_are_not_numbers_are_errors(tmp_path: Path, value: object) -> None:
    with pytest.raises(TypeError, match=r"metric 'accuracy' is a .*, but must be a single number"):
        Driver(tmp_path).run(lambda model, trial: trial.report(accuracy=value))


def misuse(name: str) -> Callable[[Any, LiveTrial], None]:
    def twice(model: Any, trial: LiveTrial) -> None:
        for _ in trial.epochs():
            trial.report(a=1)
            trial.report(b=1)

    def nothing(model: Any, trial: LiveTrial) -> None:
        trial.report()

    def without_epochs(model: Any, trial: LiveTrial) -> None:
        trial.checkpoint(a=1)

    def late(model: Any, trial: LiveTrial) -> None:
        for _ in trial.epochs():
            trial.restore()

    functions: dict[str, Callable[[Any, LiveTrial], None]] = locals()
    return functions[name]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("twice", "called twice in epoch 1; report all metrics of an epoch in one call"),
        ("nothing", "called without metrics"),
        ("without_epochs", r"loop over `for epoch in trial.epochs\(\):`"),
        ("late", "must be called before"),
    ],
)
def test_misuse_is_an_error(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(JobError, match=message):
        Driver(tmp_path).run(misuse(name), 2)


def test_inherited_reads_the_checkpoint_of_another_trial(tmp_path: Path) -> None:
    parent, child = Driver(tmp_path / "0"), Driver(tmp_path / "1")
    parent.folder.mkdir()
    child.folder.mkdir()
    parent.run(make_train_function("cr", []), 4)
    states: list[Any] = []

    def f(model: Any, trial: LiveTrial) -> None:
        states.append(trial.inherited())
        trial.report(x=1)

    child.run(f)
    Driver(child.folder).run(f, inherit_from=(parent.folder, 4))
    assert states == [None, {"sum": 10}]
    with pytest.raises(RunError, match="no checkpoint of step 3 to inherit from: the newest is of step 4"):
        Driver(child.folder).run(f, inherit_from=(parent.folder, 3))


def test_the_live_trial_has_the_attributes_of_its_trial(tmp_path: Path) -> None:
    values: list[Any] = []

    def f(model: Any, trial: LiveTrial) -> None:
        values.extend(
            [trial.id, trial.seed, trial.architecture, dict(trial.settings), dict(trial.fidelity), trial.folder]
        )
        trial.report(x=1)

    Driver(tmp_path).run(f, 3, settings={"lr": 0.1})
    assert values == [7, 11, ARCHITECTURE, {"lr": 0.1}, {"epochs": 3}, tmp_path]
