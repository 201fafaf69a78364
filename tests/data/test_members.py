"""Each class's samples, against a look at all of them for every class."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from striate.data.members import members_of


@given(
    rows=st.lists(
        st.tuples(st.integers(0, 2**32 - 1) | st.integers(0, 3), st.integers(0, 2**32 - 1) | st.integers(0, 2))
    )
)
@settings(max_examples=200, deadline=None)
def test_members_are_those_that_a_look_at_all_finds(rows):
    labels = np.array([label for label, _ in rows], np.int64)
    ranks = np.array([rank for _, rank in rows], np.uint32)
    for given_ranks, order in ((None, np.arange(len(rows))), (ranks, np.argsort(ranks, kind="stable"))):
        found = members_of(labels, given_ranks)
        assert list(found) == sorted(set(labels.tolist()))
        for label, own in found.items():
            assert own.tolist() == [i for i in order.tolist() if labels[i] == label]
