"""From series to diagnoses. A rule is a pure function: the series in, one diagnosis or None out.

loss: what the loss itself shows. layers: what looks at the layers show. fit: what training and validation show side by
side. machine: where the time goes. `diagnose` asks all of them, causes before effects, and drops what another illness
explains: a run whose rate is too high has dead units, too, and answers one class, but only its rate needs to change.
"""

from collections.abc import Callable

from striate.train.watch.diagnosis import Diagnosis
from striate.train.watch.rules import fit, layers, loss, machine
from striate.train.watch.series import Series

__all__ = ["RULES", "diagnose"]

# In the order in which they explain each other: what stands above may be the cause of what stands below.
RULES: tuple[Callable[[Series], Diagnosis | None], ...] = (
    layers.exploding_gradients,
    loss.not_a_number,
    layers.blank_images,
    loss.loss_explodes,
    layers.decay_too_strong,
    loss.updates_too_large,
    loss.forgets,
    layers.vanishing_gradients,
    layers.dead_units,
    layers.saturated_units,
    layers.batch_norm_drift,
    loss.rate_too_low,
    fit.labels_do_not_fit,
    fit.overfitting,
    fit.validation_better,
    fit.plateau,
    fit.underfitting,
)
ALWAYS: tuple[Callable[[Series], Diagnosis | None], ...] = (machine.waiting_for_data,)  # whatever else is wrong


def diagnose(series: Series) -> list[Diagnosis]:
    """What is wrong, the cause first: at most one illness of the net and its training, and one of the machine."""
    found = next(filter(None, (rule(series) for rule in RULES)), None)
    return [*([found] if found else []), *filter(None, (rule(series) for rule in ALWAYS))]
