"""`ogive init`: a job to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ogive.errors import JobError

TEMPLATES = {"job.yaml": "job.yaml", "space.py": "space.py.txt", "train.py": "train.py.txt"}
"""What is written, and the template that it is made of."""


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to; is made where it is not there.")],
) -> None:
    """Write a commented job, a small space and a train function to start from. Nothing is overwritten."""
    from importlib.resources import files

    from ogive.run.manifest import cores

    there = [name for name in TEMPLATES if (folder / name).exists()]
    if there:
        raise JobError(f"{folder}: {', '.join(there)} is there already; choose another folder, or remove it first")
    templates = files("ogive.cli") / "templates"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, template in TEMPLATES.items():
            text = (templates / template).read_text(encoding="utf-8")
            (folder / name).write_text(text.replace("@workers@", str(min(2, cores()))), encoding="utf-8")
    except OSError as error:
        raise JobError(f"{folder} cannot be written: {error}; choose another folder") from error
    print(f"wrote {', '.join(str(folder / name) for name in TEMPLATES)}")
    print(f"next:  ogive check {folder / 'job.yaml'}")
    print(f"then:  ogive search {folder / 'job.yaml'}")
