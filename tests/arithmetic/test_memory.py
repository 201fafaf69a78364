"""Bytes: units, and what training holds."""

import pytest

from striate.arithmetic import OPTIMIZER_COPIES, Standing, nbytes_of, parse_nbytes
from striate.errors import StriateError


def test_the_rows_of_the_slides_vgg_memory() -> None:
    """CS231n's memory column counts numbers: 150K for the input, 3.2M for each of the first two maps."""
    assert nbytes_of((3, 224, 224)) == 4 * 150_528
    assert nbytes_of((64, 224, 224)) == 4 * 3_211_264
    assert nbytes_of((64, 224, 224), "bf16") == 2 * 3_211_264
    assert nbytes_of(()) == 4


@pytest.mark.parametrize(("optimizer", "copies"), OPTIMIZER_COPIES.items())
def test_what_optimizers_remember(optimizer: str, copies: int) -> None:
    standing = Standing(params=10, optimizer=optimizer)
    assert standing.optimizer_nbytes == 40 * copies
    assert standing.nbytes == 80 + 40 * copies


def test_mixed_precision_keeps_a_master() -> None:
    """Rajbhandari 2020 (ZeRO), §3.1: 2 + 2 + 12 bytes a parameter with Adam in mixed precision."""
    assert Standing(params=1, optimizer="adam", dtype="fp16", master=True).nbytes == 16


def test_unknown_names_are_refused() -> None:
    with pytest.raises(StriateError, match="unknown optimizer 'adamx'; did you mean 'adam'"):
        Standing(params=1, optimizer="adamx")
    with pytest.raises(StriateError, match="unknown number type 'fp23'; did you mean 'fp32'"):
        nbytes_of((1,), "fp23")


@pytest.mark.parametrize(
    ("text", "nbytes"), [("16GB", 16 * 10**9), ("16 gib", 2**34), ("1.5T", 1_500_000_000_000), ("7", 7), (".5k", 500)]
)
def test_amounts_as_people_write_them(text: str, nbytes: int) -> None:
    assert parse_nbytes(text) == nbytes


@pytest.mark.parametrize("text", ["", "GB", "16 XB", "-1GB", "1e9"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(StriateError, match=r"is no amount of memory; write it as 16GB, 24GiB or 800MB"):
        parse_nbytes(text)
