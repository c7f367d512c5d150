"""What leaves Ogive as a trained model: written, verified in a fresh process, and only then delivered.

Importing it loads no PyTorch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ogive.export.model import export_torch as export_torch
    from ogive.export.task import TaskData as TaskData
    from ogive.export.task import task_data as task_data

_HOME = {"export_torch": "model", "TaskData": "task", "task_data": "task"}

__all__ = ["TaskData", "export_torch", "task_data"]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"ogive.export.{_HOME[name]}"), name)
    raise AttributeError(f"module 'ogive.export' has no attribute {name!r}; it has {', '.join(__all__)}")
