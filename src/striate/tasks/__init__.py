"""Tasks: what is predicted. Each file is a head's loss, its decoding and its measures."""

from striate.tasks.classification import Classification, ClassificationMetrics
from striate.tasks.task import Metrics, Task, decode_all

__all__ = ["Classification", "ClassificationMetrics", "Metrics", "Task", "decode_all"]
