"""Estimators: the built-in trainer, train functions, and plain functions of the architecture."""

from ogive.estimate.checkpoint import load_checkpoint
from ogive.estimate.classification import Classifier, classifier
from ogive.estimate.live_trial import LiveTrial
from ogive.estimate.user_functions import function, train

__all__ = ["Classifier", "LiveTrial", "classifier", "function", "load_checkpoint", "train"]
