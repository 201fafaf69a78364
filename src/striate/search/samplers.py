"""Optuna's samplers and pruners, as a plan names them."""

import numpy as np
import optuna

from striate.search.plan import Plan, Stage

__all__ = ["pruner_for", "sampler_for"]

STARTUP_SHARE = 4  # a quarter of a stage's trials is drawn at random before TPE has anything to model
LEAST_TRIALS = 5  # finished trials before a median says anything
REDUCTION = 3  # Hyperband keeps a third at each rung (Li 2018, section 3.6)


def sampler_for(plan: Plan, stage: int, number: int) -> optuna.samplers.BaseSampler:
    """What draws the values that the queue leaves open: TPE, over all dimensions jointly, away from what runs now.

    It is seeded for each trial: a process that is begun anew would else draw again what the one before it drew.
    """
    seed = int(np.random.SeedSequence([plan.seed, stage, number]).generate_state(1)[0])
    if plan.sampler != "tpe":
        return optuna.samplers.RandomSampler(seed=seed)  # never asked: each trial brings its values
    startup = max(LEAST_TRIALS, plan.stages[stage].trials // STARTUP_SHARE)
    return optuna.samplers.TPESampler(seed=seed, n_startup_trials=startup, multivariate=True, constant_liar=True)


def pruner_for(plan: Plan, stage: Stage) -> optuna.pruners.BasePruner:
    """What ends trials early; a third of the epochs are given to each before its median is asked for."""
    if plan.pruner == "median":
        warm_up = max(1, -(-stage.epochs // 3))
        return optuna.pruners.MedianPruner(n_startup_trials=LEAST_TRIALS, n_warmup_steps=warm_up)
    if plan.pruner == "hyperband":
        return optuna.pruners.HyperbandPruner(min_resource=1, max_resource=stage.epochs, reduction_factor=REDUCTION)
    return optuna.pruners.NopPruner()
