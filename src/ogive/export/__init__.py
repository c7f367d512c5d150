"""Export of trained models that run without Ogive; each is verified in a fresh process before it is delivered.

Importing this package does not import PyTorch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ogive.lazy_imports import lazy_names

if TYPE_CHECKING:
    from ogive.export.task_record import TaskData as TaskData
    from ogive.export.task_record import read_task_data as read_task_data
    from ogive.export.torch_export import export_torch as export_torch

_MODULES = {
    "export_torch": "export.torch_export",
    **dict.fromkeys(("TaskData", "read_task_data"), "export.task_record"),
}
"""The module of each name that is imported on first use."""

__all__ = ["TaskData", "export_torch", "read_task_data"]

__getattr__, __dir__ = lazy_names(__name__, _MODULES, __all__)
