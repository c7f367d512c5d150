"""An export replaces only an earlier export; if it is interrupted at any moment, one complete export remains."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ogive.errors import RunError
from ogive.export.export_folder import ARCHITECTURE_ONLY, create_draft, move_into, read_export_form

OLD = {
    "architecture.json": json.dumps({"architecture": {"w": 1}, "id": "old", "form": "source"}),
    "build_model.py": "old",
    "source/net.py": "old",
    "weights.safetensors": "old",
    "predict.py": "old",
    "README.md": "old",
}
NEW = {
    "architecture.json": json.dumps({"architecture": {"w": 2}, "id": "new", "form": "program"}),
    "model.pt2": "new",
    "weights.safetensors": "new",
    "predict.py": "new",
    "README.md": "new",
}
MOVES = 11
"""The number of moves of an export: six files of the old export move out, five of the new one move in."""


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def content(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def export(folder: Path, files: dict[str, str] = NEW) -> None:
    with create_draft(folder) as draft_folder:
        write(draft_folder, files)
        move_into(draft_folder, folder)


def stop_at(move: int, monkeypatch: pytest.MonkeyPatch, error: BaseException, times: int = 1) -> None:
    """Raise `error` in `times` consecutive calls of os.replace, the first of which is call number `move`."""
    count, replace = 0, os.replace

    def counted(source: Path, target: Path) -> None:
        nonlocal count
        count += 1
        if move <= count < move + times:
            raise error
        replace(source, target)

    monkeypatch.setattr(os, "replace", counted)


@pytest.mark.parametrize("move", range(1, MOVES + 1))
def test_ctrl_c_at_any_move_keeps_the_old_export(move: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "model"
    write(folder, {**OLD, "notes.txt": "mine"})
    with monkeypatch.context() as patched:
        stop_at(move, patched, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            export(folder)
    assert content(tmp_path) == {f"model/{name}": text for name, text in {**OLD, "notes.txt": "mine"}.items()}
    export(folder)
    assert content(folder) == {**NEW, "notes.txt": "mine"}
    assert sorted(path.name for path in folder.iterdir()) == sorted([*NEW, "notes.txt"])


def test_ctrl_c_during_a_first_export_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        stop_at(4, patched, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            export(tmp_path / "new" / "model")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("move", range(1, MOVES + 1))
def test_the_next_export_undoes_the_moves_that_a_second_ctrl_c_left(
    move: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, OLD)
    with monkeypatch.context() as patched:
        stop_at(move, patched, KeyboardInterrupt(), times=2)
        with pytest.raises(KeyboardInterrupt):
            export(tmp_path)
    with pytest.raises(ZeroDivisionError), create_draft(tmp_path):
        raise ZeroDivisionError
    assert content(tmp_path) == OLD


EXPORT_SCRIPT = """
import os, signal, sys
from pathlib import Path
from ogive.export.export_folder import create_draft, move_into
import test_folder

move, folder = int(sys.argv[1]), Path(sys.argv[2])
count, replace = 0, os.replace
def kill(source, target):
    global count
    count += 1
    if count == move:
        os.kill(os.getpid(), signal.SIGKILL)
    replace(source, target)
os.replace = kill
with create_draft(folder) as draft_folder:
    test_folder.write(draft_folder, test_folder.NEW)
    if move == 0:
        print("ready", flush=True)
        sys.stdin.read()
    move_into(draft_folder, folder)
"""


@pytest.mark.parametrize("move", [1, 5, 7, MOVES])
def test_the_next_export_removes_the_draft_of_a_killed_one(move: int, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    write(folder, OLD)
    command = [sys.executable, "-c", EXPORT_SCRIPT, str(move), str(folder)]
    subprocess.run(command, cwd=Path(__file__).parent, check=False)
    assert len(list(folder.glob(".ogive-export-*"))) == 1
    with pytest.raises(ZeroDivisionError), create_draft(folder):
        raise ZeroDivisionError
    assert content(tmp_path) == {f"model/{name}": text for name, text in OLD.items()}


def test_the_draft_of_a_running_export_is_not_removed(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    command = [sys.executable, "-c", EXPORT_SCRIPT, "0", str(folder)]
    process = subprocess.Popen(
        command, cwd=Path(__file__).parent, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    (running,) = tmp_path.glob(".ogive-export-*")
    export(folder, OLD)
    assert content(running) == NEW
    process.communicate("")
    assert process.returncode == 0
    assert content(tmp_path) == {f"model/{name}": text for name, text in NEW.items()}


@pytest.mark.parametrize(
    ("existing", "names"),
    [
        ({"README.md": "mine", "predict.py": "mine", "source/mine.py": "x = 1"}, "predict.py, README.md, source"),
        ({"architecture.json": '{"layers": 3}'}, "architecture.json"),
        ({"architecture.json": '{"architecture": {}, "id": "a", "provenance": {}}', "README.md": "mine"}, "README.md"),
        ({**NEW, "source/mine.py": "x = 1"}, "source"),
    ],
)
def test_files_of_the_user_are_never_replaced(existing: dict[str, str], names: str, tmp_path: Path) -> None:
    write(tmp_path, existing)
    with pytest.raises(RunError, match=rf"contains {names}; an export would replace these files, .* -o \(output=\)"):
        export(tmp_path)
    assert content(tmp_path) == existing


def test_an_export_replaces_the_json_of_an_architecture_and_keeps_other_files(tmp_path: Path) -> None:
    about = {"architecture": {}, "id": "a", "provenance": {}}
    write(tmp_path, {"architecture.json": json.dumps(about), "train.py": "mine"})
    assert read_export_form(tmp_path / "architecture.json") == ARCHITECTURE_ONLY
    export(tmp_path)
    assert content(tmp_path) == {**NEW, "train.py": "mine"}


def test_the_draft_of_a_relative_folder_is_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(2):  # the second time the folder exists, and the draft is in it
        with create_draft(Path("model")) as draft_folder:
            assert draft_folder.is_absolute()
            write(draft_folder, NEW)
            move_into(draft_folder, Path("model"))
    assert content(tmp_path / "model") == NEW
