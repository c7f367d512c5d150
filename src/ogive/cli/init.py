"""`ogive init`: write a job to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ogive.cli.terminal import print_text
from ogive.errors import JobError

TEMPLATES = {"job.yaml": "job.yaml", "space.py": "space.py.txt", "train.py": "train.py.txt"}
"""The template of each file."""


def init(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder for the files; it is created if it does not exist.")
    ],
) -> None:
    """Write a job, a space and a train function to start from.

    The job file shows every key in a comment. Existing files are not replaced.

    Example: ogive init digits
    """
    from importlib.resources import files

    from ogive.run.manifest import count_cores

    existing = [name for name in TEMPLATES if (folder / name).exists()]
    if existing:
        exist = "exists" if len(existing) == 1 else "exist"
        raise JobError(f"{folder}: {', '.join(existing)} {exist} already; choose another folder, or delete them first")
    templates = files("ogive.cli") / "templates"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, template in TEMPLATES.items():
            text = (templates / template).read_text(encoding="utf-8")
            (folder / name).write_text(text.replace("@workers@", str(min(2, count_cores()))), encoding="utf-8")
    except OSError as error:
        raise JobError(f"{folder} cannot be written: {error}; choose another folder") from error
    print_text(f"wrote {', '.join(str(folder / name) for name in TEMPLATES)}")
    print(f"next:  ogive check {folder / 'job.yaml'}")
    print(f"then:  ogive search {folder / 'job.yaml'}")
