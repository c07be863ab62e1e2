"""Confidence intervals of means: Student's t, for a few repetitions."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["interval"]

# The 97.5 % quantile by degrees of freedom, from 1; beyond the table that of the normal distribution, which is
# at most 2 % less. (scipy would be 100 MB for these numbers.)
_QUANTILES = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
_NORMAL = 1.960


def interval(values: Sequence[float]) -> tuple[float, float]:
    """The mean, and half the length of its 95 % confidence interval; NaN for that of a single value."""
    mean = math.fsum(values) / len(values)
    if len(values) < 2:
        return mean, math.nan
    freedom = len(values) - 1
    quantile = _QUANTILES[freedom - 1] if freedom <= len(_QUANTILES) else _NORMAL
    return mean, quantile * statistics.stdev(values, mean) / math.sqrt(len(values))
