"""Frozen means frozen, to the bit; what learns learns at its own rate; weights are pulled to where they began."""

import copy
from pathlib import Path

import pytest
import torch
from torch import nn

from striate.errors import StriateError
from striate.nets import Net
from striate.nets.weights import load_model
from striate.train import Settings
from striate.train.checkpoint import CheckpointFolder
from striate.train.optim import RATE_SHARE, build_optimizer
from striate.train.progress import Silent
from striate.train.run import resume, start
from striate.train.transfer.depth import depth_of
from striate.train.transfer.source import Source
from striate.train.transfer.tuning import Tuning

from .conftest import CLASSES  # noqa: TID252  # pytest's own folder has no other name
