"""What training sets up in its process, seen from a fresh one."""

import subprocess
import sys

import pytest
import torch

from striate.train.process import subnormals_are_zero

CODE = """
import torch
from striate.train.process import prepare_process, subnormals_are_zero
prepare_process(3)
with subnormals_are_zero():
    tiny = torch.full((300_000,), 1e-40)
    print(torch.get_num_threads(), int((tiny * 0.5).count_nonzero()))
"""

pytestmark = pytest.mark.skipif(not torch.set_flush_denormal(False), reason="this processor keeps subnormal numbers")


def test_subnormal_numbers_are_zero_in_every_thread() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["3", "0"]


def test_whoever_called_has_them_back_as_they_were() -> None:
    def kept() -> bool:
        return float(torch.full((1,), 1e-40) * 0.5) > 0

    assert kept()
    with subnormals_are_zero():
        assert not kept()
        with subnormals_are_zero():
            pass
        assert not kept()
    assert kept()
