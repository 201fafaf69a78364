"""The watch: what a run's layers do while it trains, and what that means.

Looking: activations (what layers put out), weights (gradients and updates), norms (batch norm's running statistics),
each with histograms; watch decides when, and writes. Judging: series (the log as rules read it), rules (from series to
diagnoses), facts (what rules must know of a run besides).
"""

from striate.train.watch.activations import Activations, LayerActivations
from striate.train.watch.diagnosis import Diagnosis
from striate.train.watch.rules import diagnose
from striate.train.watch.series import LogTail, Series
from striate.train.watch.watch import Watch

__all__ = ["Activations", "Diagnosis", "LayerActivations", "LogTail", "Series", "Watch", "diagnose"]
