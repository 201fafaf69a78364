"""Convert with threads, fork, convert with threads in the child and again in the parent."""

import os

import numpy as np

from striate import _native


def converted(threads: int) -> bytes:
    images = np.random.default_rng(0).integers(0, 256, (60, 128, 128, 3), dtype=np.uint8)
    out = np.empty((60, 3, 128, 128), np.float32)
    windows, fill = np.zeros((60, 3), np.int32), np.zeros(3, np.uint8)
    scale, shift = np.full(3, 0.1, np.float32), np.ones(3, np.float32)
    _native.batch_from_array(images, np.arange(60), windows, fill, scale, shift, out, threads)
    return out.tobytes()


def main() -> None:
    wanted = converted(1)
    assert converted(3) == wanted
    child = os.fork()
    if child == 0:
        print("child", "the same" if all(converted(3) == wanted for _ in range(5)) else "differs", flush=True)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    print("parent", "the same" if converted(3) == wanted else "differs")


if __name__ == "__main__":
    main()
