"""What leaves Ogive as a trained model: written, verified in a fresh process, and only then delivered.

Importing it loads no PyTorch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ogive.export.task_record import TaskData as TaskData
    from ogive.export.task_record import task_data as task_data
    from ogive.export.torch_export import export_torch as export_torch

_HOME = {"export_torch": "torch_export", "TaskData": "task_record", "task_data": "task_record"}

__all__ = ["TaskData", "export_torch", "task_data"]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"ogive.export.{_HOME[name]}"), name)
    raise AttributeError(f"module 'ogive.export' has no attribute {name!r}; it has {', '.join(__all__)}")
