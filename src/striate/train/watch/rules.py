"""From series to diagnoses."""

from striate.train.watch.diagnosis import Diagnosis
from striate.train.watch.series import Series


def diagnose(series: Series) -> list[Diagnosis]:
    return []
