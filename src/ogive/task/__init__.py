"""Tasks: data sets, their splits, and the built-in trainer."""

from ogive.task.datasets import DATA_SETS, Data, Normalization, from_arrays, load
from ogive.task.recipe import Recipe
from ogive.task.splits import Split, SplitPlan
from ogive.task.task import Task, classification, fashion_mnist

__all__ = [
    "DATA_SETS",
    "Data",
    "Normalization",
    "Recipe",
    "Split",
    "SplitPlan",
    "Task",
    "classification",
    "fashion_mnist",
    "from_arrays",
    "load",
]
