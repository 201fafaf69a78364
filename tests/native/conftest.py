import pytest

from striate import _native


@pytest.fixture(params=["reference", *_native.available_isas()])
def isa(request: pytest.FixtureRequest) -> str:
    """Every set of kernels this machine can run, and the plain loops they are checked against."""
    return request.param
