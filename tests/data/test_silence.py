"""Pillow's warnings are kept back while decoding, others are not, and nothing stays behind."""

import threading
import warnings

import pytest

from striate.data.silence import silence


def warn_as(module):
    warnings.warn_explicit("watch out", UserWarning, "file.py", 1, module=module)


def test_only_pillow_is_silenced_and_only_inside():
    before = list(warnings.filters)
    with silence():
        warn_as("PIL.TiffImagePlugin")
        with pytest.warns(UserWarning, match="watch out"):
            warn_as("numpy")
        with silence():
            warn_as("PIL.Image")
        warn_as("PIL.Image")
    assert list(warnings.filters) == before
    with pytest.warns(UserWarning, match="watch out"):
        warn_as("PIL.Image")


def test_it_ends_with_an_error():
    before = list(warnings.filters)
    with pytest.raises(KeyError), silence():
        raise KeyError
    assert list(warnings.filters) == before


def test_a_list_of_filters_replaced_meanwhile_is_left_alone():
    with warnings.catch_warnings():
        with silence():
            warnings.resetwarnings()
        assert list(warnings.filters) == []


def test_many_threads():
    before, failures = list(warnings.filters), []

    def work():
        for _ in range(300):
            try:
                with silence():
                    warn_as("PIL.PngImagePlugin")
            except UserWarning as error:
                failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert list(warnings.filters) == before
