"""A booster's trees as arrays, for few rows.

XGBoost's own prediction takes a quarter of a millisecond to begin with, whatever the trees, and a model has up to one
booster an outcome: for a single patient that was most of the answer. For many rows XGBoost is faster, and is used.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import xgboost as xgb
from numpy.typing import NDArray

#: Rows up to which these arrays are the faster way.
FEW = 32


class Trees:
    """What the trees of a booster add up to.

    Parameters
    ----------
    booster
        Plain gradient boosted trees with numeric splits.

    Raises
    ------
    ValueError
        For any other booster.
    """

    def __init__(self, booster: xgb.Booster) -> None:
        learner: dict[str, Any] = json.loads(booster.save_raw("json"))["learner"]
        model = learner["gradient_booster"]
        if model["name"] != "gbtree" or int(learner["learner_model_param"]["num_class"]) > 1:
            raise ValueError("not plain boosted trees of one output")
        trees = model["model"]["trees"]
        if any(any(tree["split_type"]) for tree in trees):
            raise ValueError("a tree splits by category")
        sizes = [len(tree["left_children"]) for tree in trees]
        self._roots = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.intp) if trees else np.empty(0, np.intp)
        self._depth = max((_depth(tree["left_children"], tree["right_children"]) for tree in trees), default=0)

        def joined(name: str, kind: Any) -> NDArray[Any]:
            return np.concatenate([np.asarray(tree[name], kind) for tree in trees]) if trees else np.empty(0, kind)

        offset = np.repeat(self._roots, sizes)
        here = np.arange(sum(sizes))
        children = joined("left_children", np.intp), joined("right_children", np.intp)
        leaf = children[0] < 0
        # A leaf leads to itself, so that all trees are walked alike; what it answers stands where a split's limit does.
        self._left, self._right = (np.where(leaf, here, child + offset) for child in children)
        self._column = np.where(leaf, 0, joined("split_indices", np.intp))
        self._limit = joined("split_conditions", np.float32)
        self._missing_left = joined("default_left", np.bool_)

    def sum(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sum of the leaves that each row reaches, shape (n,); NaN is missing, as it was in training."""
        # In single precision, as XGBoost compares.
        values = matrix.astype(np.float32).ravel()
        node = np.tile(self._roots, len(matrix))
        row = np.repeat(np.arange(len(matrix)) * matrix.shape[1], len(self._roots))
        for _ in range(self._depth):
            x = values.take(self._column.take(node) + row)
            left = (x < self._limit.take(node)) | (np.isnan(x) & self._missing_left.take(node))
            node = np.where(left, self._left.take(node), self._right.take(node))
        leaves = self._limit.take(node).reshape(len(matrix), -1)
        return np.asarray(leaves.sum(axis=1, dtype=np.float64))


def _depth(left: list[int], right: list[int]) -> int:
    """Splits on the longest way from the root to a leaf."""
    deepest, waiting = 0, [(0, 0)]
    while waiting:
        node, depth = waiting.pop()
        deepest = max(deepest, depth)
        if left[node] >= 0:
            waiting += [(left[node], depth + 1), (right[node], depth + 1)]
    return deepest
