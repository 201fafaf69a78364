"""Where what can be had again is kept, on machines that are set up in odd ways."""

from pathlib import Path

import pytest

from striate.cache import cache_folder
from striate.data.named import default_data_dir
from striate.errors import StriateError
from striate.nets.weights import published
from striate.nets.weights.published import weights_dir
from striate.train.transfer.cache import cache_dir


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("STRIATE_DATA_DIR", "STRIATE_WEIGHTS_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", "/home/ann")


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user of whom the system knows nothing, as a container's `--user 4242`."""

    def unknown(uid: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", unknown)


def test_it_is_in_the_home_folder_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_folder("conv") == Path("/home/ann/.cache/striate/conv")
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/cache")
    assert cache_folder("conv", "STRIATE_CONV") == Path("/var/cache/striate/conv")
    monkeypatch.setenv("STRIATE_CONV", "~/choices")
    assert cache_folder("conv", "STRIATE_CONV") == Path("/home/ann/choices")


def test_a_relative_cache_home_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "cache")  # else each folder one stands in would get its own
    assert cache_folder("conv") == Path("/home/ann/.cache/striate/conv")


@pytest.mark.usefixtures("homeless")
def test_a_user_without_a_home_is_told_what_to_set() -> None:
    nowhere = "this user has no home folder: say where {} are kept by {}"
    for folder, name, ways in (
        (default_data_dir, "data", "--data-dir or STRIATE_DATA_DIR or XDG_CACHE_HOME"),
        (weights_dir, "weights", "STRIATE_WEIGHTS_DIR or XDG_CACHE_HOME"),
        (cache_dir, "features", "--cache or XDG_CACHE_HOME"),
    ):
        with pytest.raises(StriateError) as error:
            folder()
        assert str(error.value) == nowhere.format(name, ways)


def test_a_home_that_nobody_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRIATE_WEIGHTS_DIR", "~nobody-of-this-name/w")
    with pytest.raises(StriateError, match=r"^STRIATE_WEIGHTS_DIR='~nobody-of-this-name/w' begins with a home that"):
        weights_dir()


def test_weights_that_may_not_be_written_name_the_variable_that_moves_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("STRIATE_WEIGHTS_DIR", str(tmp_path / "file"))
    monkeypatch.delenv("STRIATE_OFFLINE", raising=False)
    with pytest.raises(StriateError, match=r"cannot write .*; choose another folder with STRIATE_WEIGHTS_DIR$"):
        published.find(published.PUBLISHED["alexnet"][0])
