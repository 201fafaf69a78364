"""What training sets up in its process, seen from a fresh one."""

import subprocess
import sys

import pytest
import torch

CODE = """
import torch
from striate.train.process import prepare_process
prepare_process(3)
tiny = torch.full((300_000,), 1e-40)
print(torch.get_num_threads(), int((tiny * 0.5).count_nonzero()))
"""


@pytest.mark.skipif(not torch.set_flush_denormal(False), reason="this processor keeps subnormal numbers")
def test_subnormal_numbers_are_zero_in_every_thread() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["3", "0"]
