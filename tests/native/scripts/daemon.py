"""A process that ends while daemon threads compute: in calls of every kind that lets go of the GIL."""

import itertools
import threading
import time

import numpy as np

from striate import _native

IMAGE = np.zeros((300, 300, 3), np.uint8)
MATRIX = np.zeros((200, 200), np.float32)
WINDOWS, ONES = np.zeros((1, 3), np.int32), np.ones(3, np.float32)


def convert() -> None:
    out = np.empty((1, 3, 300, 300), np.float32)
    _native.batch_from_list([IMAGE], WINDOWS, np.zeros(3, np.uint8), ONES, ONES, out, 1)


CALLS = [convert, lambda: _native.resize(IMAGE, 200, 200, "lanczos"), lambda: _native.matmul(MATRIX, MATRIX)]


def main() -> None:
    started = [threading.Event() for _ in CALLS]

    def compute(index: int) -> None:
        for _ in itertools.count():
            CALLS[index]()
            started[index].set()

    for index in range(len(CALLS)):
        threading.Thread(target=compute, args=(index,), daemon=True).start()
    for event in started:
        event.wait()
    time.sleep(0.05)
    print("the end", flush=True)


if __name__ == "__main__":  # doctests are looked for in every file
    main()
