"""A random forest that predicts means and variances, as the strategy `smac` needs it.

Hutter, Xu, Hoos and Leyton-Brown, "Algorithm runtime prediction: Methods & evaluation", Artificial Intelligence 206 (2014).

Symbols: n rows of data, m candidates, d columns of the encoding.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ogive.arrays import FloatArray
from ogive.errors import MissingExtra

MIN_LEAF, FEATURE_SHARE = 3, 5 / 6
"""The smallest number of rows in a leaf, and the share of columns considered at a split, as in the authors' SMAC."""


class Forest:
    """Regression trees on bootstrap samples, with the mean and the variance of every leaf."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._trees = [tree.tree_ for tree in model.estimators_]

    @staticmethod
    def fit(x: FloatArray, y: FloatArray, trees: int) -> Forest:
        """Return a forest of `trees` trees, fitted to encoded architectures `x` [n, d] and targets `y` [n].

        Equal data give equal forests.
        """
        model = import_regressor()(
            n_estimators=trees,
            min_samples_leaf=MIN_LEAF,
            min_samples_split=MIN_LEAF,
            max_features=FEATURE_SHARE,
            random_state=0,
        )
        return Forest(model.fit(x, y))

    def predict(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the means [m] and variances [m] at `x` [m, d].

        By the law of total variance, the variance is the mean of the leaves' variances plus the variance of their means
        (Hutter et al. 2014, section 4.3.2).
        """
        x32 = np.ascontiguousarray(x, dtype=np.float32)
        leaves = [(tree, tree.apply(x32)) for tree in self._trees]
        means = np.array([tree.value[rows, 0, 0] for tree, rows in leaves])
        # With the squared error as criterion, the impurity of a leaf is the variance of its targets.
        within = np.array([tree.impurity[rows] for tree, rows in leaves])
        return means.mean(axis=0), np.maximum(within.mean(axis=0) + means.var(axis=0), 1e-10)


def import_regressor() -> Any:
    """Return the class `RandomForestRegressor` of scikit-learn, which is imported only here.

    Raises:
        MissingExtra: scikit-learn is not installed.
    """
    try:
        from sklearn.ensemble import RandomForestRegressor
    except ImportError as error:
        raise MissingExtra("scikit-learn", "data", "the strategy 'smac'") from error
    return RandomForestRegressor
