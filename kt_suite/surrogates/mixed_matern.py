"""The correlation of a mixed, partly inactive unit cube."""

from __future__ import annotations

import numpy as np

Array = np.ndarray


class MixedMatern:
    r"""Matérn-5/2 correlation over numeric, categorical and conditional coordinates.

    Points are rows of unit coordinates, in which NaN marks an inactive hyperparameter. The correlation is

        k(x, x') = (1 + q + q^2 / 3) exp(-q),    q^2 = 5 \sum_j w_j D_j(x, x'),    w_j = 1 / l_j^2,

    with one length-scale l_j for each coordinate and squared distances D_j by kind:

    - numeric: (u - u')^2;
    - category: 1 where the levels differ, else 0, so that no order among them is made up;
    - conditional numeric: 2 - 2 exp(-(u - u')^2 / 2) where both are active, 1 where one is, 0 where neither is.
    Active values
      then lie on a unit sphere with "inactive" at its centre: equally far from all of them, and k stays positive
      definite, which plain (u - u')^2 beside a constant would not;
    - conditional category: inactive counts as one more level.

    So how far inactive is from active, 1 / l_j, is learned along with how much the coordinate matters at all.

    Args:
        is_category: Which coordinates are unordered categories, of shape ``(d,)``.
        is_conditional: Which coordinates may be inactive, of shape ``(d,)``.
    """

    def __init__(self, is_category: Array, is_conditional: Array) -> None:
        self.is_category = np.asarray(is_category, dtype=bool)
        self.is_conditional = np.asarray(is_conditional, dtype=bool)
        self._plain = np.flatnonzero(~self.is_category & ~self.is_conditional)
        self._others = np.flatnonzero(self.is_category | self.is_conditional)

    @property
    def num_dimensions(self) -> int:
        """Number of coordinates."""
        return len(self.is_category)

    def distance(self, axis: int, a: Array, b: Array) -> Array:
        """Returns D_j between coordinates ``a`` and ``b`` of one axis, arrays that broadcast against each other."""
        if self.is_category[axis]:
            is_same = a == b
            if self.is_conditional[axis]:
                is_same |= np.isnan(a) & np.isnan(b)
            return np.where(is_same, 0.0, 1.0)
        square = np.square(a - b)
        if not self.is_conditional[axis]:
            return np.asarray(square)
        both_off = np.isnan(a) & np.isnan(b)
        return np.where(np.isnan(square), np.where(both_off, 0.0, 1.0), -2.0 * np.expm1(-0.5 * square))

    def weighted(self, a: Array, b: Array, weights: Array) -> Array:
        """Returns the sums of w_j D_j, of shape ``(n, m)``, between points ``a`` ``(n, d)`` and ``b`` ``(m, d)``."""
        scale = np.sqrt(weights[self._plain])
        left, right = a[:, self._plain] * scale, b[:, self._plain] * scale
        total = left @ (-2.0 * right.T)
        total += np.einsum("ij,ij->i", left, left)[:, None]
        total += np.einsum("ij,ij->i", right, right)
        np.maximum(total, 0.0, out=total)
        for j in self._others:
            total += weights[j] * self.distance(j, a[:, j, None], b[None, :, j])  # type: ignore[arg-type]
        return np.asarray(total)

    def pull_back(self, a: Array, b: Array, weights: Array, slope: Array) -> Array:
        """Returns the gradient in ``a``, of shape ``(n, d)``, of a function of :meth:`weighted`.

        Categories and inactive coordinates have gradient 0.

        Args:
            a: Points, of shape ``(n, d)``.
            b: Points, of shape ``(m, d)``.
            weights: As given to :meth:`weighted`, of shape ``(d,)``.
            slope: The function's derivative in each entry of :meth:`weighted`, of shape ``(n, m)``.
        """
        gradient = np.zeros_like(a)
        plain = self._plain
        pull = a[:, plain] * slope.sum(axis=1)[:, None] - slope @ b[:, plain]
        gradient[:, plain] = 2.0 * weights[plain] * pull
        for j in self._others:
            if not self.is_category[j]:
                step = a[:, j, None] - b[None, :, j]
                step = np.where(np.isnan(step), 0.0, step * np.exp(-0.5 * np.square(step)))
                gradient[:, j] = 2.0 * weights[j] * np.einsum("ij,ij->i", slope, step)
        return gradient


def matern52(square: Array) -> tuple[Array, Array]:
    """Returns the Matérn-5/2 correlation at squared distances of any shape, and its derivative in them."""
    q = np.sqrt(5.0 * square)
    decay = np.exp(-q)
    slope = (q + 1.0) * decay
    slope *= -5.0 / 6.0
    q *= 1.0 + q / 3.0
    q += 1.0
    q *= decay
    return q, slope
