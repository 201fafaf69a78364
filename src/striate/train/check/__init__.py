"""Is it right before it runs? Gradients held against differences, and the sanity list of a net and its data."""

from striate.train.check.finding import Finding
from striate.train.check.gradients import GradientCheck, GradientRow, Wrong, check_gradients
from striate.train.check.rates import RangeTest, range_test
from striate.train.check.sanity import CHECKS, run
from striate.train.check.subject import Subject

__all__ = [
    "CHECKS",
    "Finding",
    "GradientCheck",
    "GradientRow",
    "RangeTest",
    "Subject",
    "Wrong",
    "check_gradients",
    "range_test",
    "run",
]
