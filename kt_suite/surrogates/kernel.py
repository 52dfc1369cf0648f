"""The covariance of a mixed, partly inactive unit cube."""

from __future__ import annotations

import numpy as np

Array = np.ndarray


class MixedMatern52:
    r"""Matérn-5/2 correlation over numeric, categorical and conditional coordinates.

    Points are rows of unit coordinates in which NaN marks an inactive hyperparameter. The correlation is

        k(x, x') = (1 + q + q^2 / 3) exp(-q),    q^2 = 5 \sum_j w_j D_j(x, x'),    w_j = 1 / l_j^2,

    with one length-scale l_j for each coordinate, and a squared distance D_j that depends on its kind:

    - numeric: (u - u')^2;
    - category: 1 where the levels differ, else 0, so that no order among them is invented;
    - conditional numeric: 2 - 2 exp(-(u - u')^2 / 2) where both are active (equal to (u - u')^2 up to fourth order), 1 where one
      is, 0 where neither is. Active values lie on a unit sphere with "inactive" at its centre, so that an inactive
      hyperparameter is equally far from all its values and the correlation stays positive definite;
    - conditional category: inactive counts as one more level.

    The distance between active and inactive, ``1 / l_j``, is thus learned with the coordinate's relevance.

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
        """Returns the squared distances ``(n, m)`` along one coordinate between values ``a`` ``(n,)`` and ``b`` ``(m,)``."""
        left, right = a[:, None], b[None, :]
        if self.is_category[axis]:
            same = left == right
            if self.is_conditional[axis]:
                same |= np.isnan(left) & np.isnan(right)
            return (~same).astype(float)
        square = (left - right) ** 2
        if not self.is_conditional[axis]:
            return np.asarray(square)
        off_left, off_right = np.isnan(left), np.isnan(right)
        apart = np.where(off_left & off_right, 0.0, 1.0)
        return np.where(off_left | off_right, apart, -2.0 * np.expm1(-0.5 * square))

    def distances(self, a: Array, b: Array) -> Array:
        """Returns the squared distances ``(d, n, m)`` along each coordinate between rows of ``a`` and ``b``."""
        return np.stack([self.distance(j, a[:, j], b[:, j]) for j in range(self.num_dimensions)])

    def weighted(self, a: Array, b: Array, weights: Array) -> Array:
        """Returns the squared distances ``(n, m)`` between rows of ``a`` and ``b``, summed with weights ``(d,)``."""
        scale = np.sqrt(weights[self._plain])
        left, right = a[:, self._plain] * scale, b[:, self._plain] * scale
        total = left @ right.T
        total *= -2.0
        total += np.einsum("ij,ij->i", left, left)[:, None]
        total += np.einsum("ij,ij->i", right, right)
        np.maximum(total, 0.0, out=total)
        for j in self._others:
            total += weights[j] * self.distance(j, a[:, j], b[:, j])
        return np.asarray(total)

    def pull_back(self, a: Array, b: Array, weights: Array, slope: Array) -> Array:
        """Returns the gradient ``(n, d)`` in ``a`` of a function of :meth:`weighted`, whose derivatives are ``slope`` ``(n, m)``.

        Categories and inactive coordinates have gradient 0.
        """
        gradient = np.zeros_like(a)
        p = self._plain
        gradient[:, p] = 2.0 * weights[p] * (a[:, p] * slope.sum(axis=1)[:, None] - slope @ b[:, p])
        for j in self._others:
            if not self.is_category[j]:
                step = a[:, j, None] - b[None, :, j]
                step = np.where(np.isnan(step), 0.0, step * np.exp(-0.5 * step**2))
                gradient[:, j] = 2.0 * weights[j] * np.einsum("ij,ij->i", slope, step)
        return gradient


def matern52(square: Array) -> tuple[Array, Array]:
    """Returns the Matérn-5/2 correlation at squared distances, and its derivative in the squared distance."""
    q = np.sqrt(5.0 * square)
    decay = np.exp(-q)
    slope = (q + 1.0) * decay
    slope *= -5.0 / 6.0
    q *= 1.0 + q / 3.0
    q += 1.0
    q *= decay
    return q, slope
