"""What concerns a whole process: the instruction set it chooses, its threads, fork, memory, guard pages."""

import os
import platform
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from striate import _native

SCRIPTS = Path(__file__).parent / "scripts"


def python(*arguments, **environment):
    """Run Python on its own, so that what breaks a process does not break the tests."""
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def isa_of_a_new_process(asked):
    return python("-c", "from striate import _native; print(_native.isa())", STRIATE_ISA=asked)


@pytest.mark.parametrize("name", _native.available_isas())
def test_the_environment_chooses_the_instruction_set(name):
    assert isa_of_a_new_process(name).stdout == name + "\n"


def test_an_empty_choice_is_none():
    assert isa_of_a_new_process("").stdout == _native.available_isas()[-1] + "\n"


def test_an_unknown_choice_is_one_line_that_says_what_there_is():
    ran = isa_of_a_new_process("avx1024")
    assert ran.returncode == 1
    wanted = "STRIATE_ISA='avx1024' is not an instruction set known here; choose from portable"
    assert ran.stderr.splitlines()[-1].startswith(f"ValueError: {wanted}")


@pytest.mark.parametrize("name", sorted({"avx2", "avx512"} - set(_native.available_isas())) or ["none"])
def test_a_choice_the_machine_lacks_is_said(name):
    if name == "none":
        pytest.skip("this machine has every instruction set there is")
    assert f"STRIATE_ISA='{name}' is an instruction set this machine lacks" in isa_of_a_new_process(name).stderr


def test_features_and_instruction_sets_agree():
    features = set(_native.cpu_features())
    assert _native.available_isas()[0] == "portable"
    assert ("avx2" in _native.available_isas()) == ({"avx2", "fma"} <= features)
    assert ("avx512" in _native.available_isas()) == (
        {"avx2", "fma", "avx512f", "avx512bw", "avx512vl", "avx512dq"} <= features
    )
    if Path("/proc/cpuinfo").exists() and platform.machine() == "x86_64":
        flags = next(
            line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("flags")
        ).split()
        assert features <= {
            flag.replace("sse4_1", "sse4.1").replace("sse4_2", "sse4.2").replace("_", "") for flag in flags
        }


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_converts_and_its_parent_goes_on():
    ran = python(SCRIPTS / "fork.py")
    assert (ran.returncode, ran.stdout) == (0, f"children {[0] * 10} parent the same\n"), ran.stderr


def test_a_process_ends_though_daemon_threads_compute():
    """Python ends such a thread where it asks for the GIL again, and to unwind from there was to abort the process."""
    for _ in range(3):
        ran = python(SCRIPTS / "daemon.py")
        assert (ran.returncode, ran.stdout, ran.stderr) == (0, "the end\n", "")


def test_threads_are_used_and_sleep_when_idle():
    ran = python(SCRIPTS / "idle.py")
    assert ran.returncode == 0, ran.stderr


@pytest.mark.skipif(platform.system() != "Linux", reason="guard pages by mprotect of Linux's C library")
@pytest.mark.parametrize("isa", ["reference", *_native.available_isas()])
def test_nothing_is_read_or_written_outside_the_arrays(isa):
    ran = python(SCRIPTS / "guard_pages.py", isa)
    assert ran.returncode == 0, ran.stderr  # -11: a page was touched that nobody may touch


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's allocator only")
def test_kept_memory_is_reused_without_page_faults():
    ran = python(SCRIPTS / "page_faults.py")
    assert ran.returncode == 0, ran.stderr


def longest_pause_of_main_during_a_call():
    """As a share of the call, which runs in another thread: near 1 if it holds the GIL, near 0 if not."""
    image = np.random.default_rng(0).integers(0, 256, (1500, 1500, 3), dtype=np.uint8)
    times = []

    def call():
        times.append(time.perf_counter())
        _native.resize(image, 1000, 1000, "lanczos", isa="reference")
        times.append(time.perf_counter())

    thread = threading.Thread(target=call)
    thread.start()
    pause, last = 0.0, time.perf_counter()
    while len(times) < 2:
        now = time.perf_counter()
        pause, last = max(pause, now - last), now
    thread.join()
    return max(pause, times[1] - last) / (times[1] - times[0])


def test_other_threads_run_during_a_call():
    # three tries: on a busy machine the main thread may have to wait for a processor, which is not the GIL's doing
    assert min(longest_pause_of_main_during_a_call() for _ in range(3)) < 0.5
