"""Export of trained models that run without Ogive; each is verified in a fresh process before it is delivered.

Importing this package does not import PyTorch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ogive.export.task_record import TaskData as TaskData
    from ogive.export.task_record import read_task_data as read_task_data
    from ogive.export.torch_export import export_torch as export_torch

_MODULES = {"export_torch": "torch_export", "TaskData": "task_record", "read_task_data": "task_record"}
"""The module of each name; it is imported on first use."""

__all__ = ["TaskData", "export_torch", "read_task_data"]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(f"ogive.export.{_MODULES[name]}"), name)
    raise AttributeError(f"module 'ogive.export' has no attribute {name!r}; it has {', '.join(__all__)}")
