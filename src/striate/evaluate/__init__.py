"""Answers from a trained net: measures over a part, predictions for files."""

from striate.evaluate.predict import Prediction, Predictor, find_images
from striate.evaluate.score import Evaluation, evaluate, model_path

__all__ = ["Evaluation", "Prediction", "Predictor", "evaluate", "find_images", "model_path"]
