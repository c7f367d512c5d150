"""HOW GOOD IS IT: train functions, plain functions and the built-in trainer as estimators."""

from ogive.estimate.checkpoint import load_checkpoint
from ogive.estimate.classification import Classifier, classifier
from ogive.estimate.functions import function, train
from ogive.estimate.live import LiveTrial

__all__ = ["Classifier", "LiveTrial", "classifier", "function", "load_checkpoint", "train"]
