"""Answers from trained nets, averaged over noise: measures over a part, predictions for files.

views: what is averaged over. sampling: noise that goes on. marginal: the average
over all of it. exam, members, panel: which images are asked, and who answers. calibration, uncertainty, bootstrap:
whether a probability may be believed. score, comparison: measures. predict: what is asked about single files.
"""

from striate.augment.view import View
from striate.evaluate.calibration import Calibration, fit_temperature, tempered
from striate.evaluate.comparison import Comparison, compare
from striate.evaluate.exam import model_path
from striate.evaluate.marginal import Answers, Marginal, Member
from striate.evaluate.panel import Panel
from striate.evaluate.predict import Prediction, Predictor, find_images
from striate.evaluate.score import Evaluation, Sitting, evaluate
from striate.evaluate.uncertainty import Uncertainty
from striate.evaluate.views import Plan, views

__all__ = [
    "Answers",
    "Calibration",
    "Comparison",
    "Evaluation",
    "Marginal",
    "Member",
    "Panel",
    "Plan",
    "Prediction",
    "Predictor",
    "Sitting",
    "Uncertainty",
    "View",
    "compare",
    "evaluate",
    "find_images",
    "fit_temperature",
    "model_path",
    "tempered",
    "views",
]
