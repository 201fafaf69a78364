"""Where trained parameters come from, and the one file they are kept in."""

from striate.nets.weights.model_file import ModelCard, load_model, read_card, save_model

__all__ = ["ModelCard", "load_model", "read_card", "save_model"]
