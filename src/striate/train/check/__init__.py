"""Is it right before it runs? Gradients held against differences, and the sanity list of a net and its data."""

from striate.train.check.gradients import GradientCheck, GradientRow, Wrong, check_gradients

__all__ = ["GradientCheck", "GradientRow", "Wrong", "check_gradients"]
