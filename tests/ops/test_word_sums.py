"""Per-word sums are exact, independent of order, and mean what they say."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from sparsecore.ops.word_sums import add_words, empty_sums, means, naive_means, quantise

positions = st.lists(
    st.tuples(
        st.integers(-1, 6),
        st.one_of(st.floats(2**-7, 1, width=32), st.just(float("nan"))),
        st.floats(2**-40, 2**20, width=32),
    ),
    min_size=1,
    max_size=60,
)


def summed(rows):
    sums = empty_sums(7)
    words, chi, l1 = zip(*rows, strict=True)
    add_words(sums, torch.tensor(words), quantise(torch.tensor(chi), torch.tensor(l1)))
    return sums


@given(positions)
def test_equals_naive(rows):
    chi, l1, count = means(summed(rows))
    expected = naive_means(*map(list, zip(*rows, strict=True)))
    for word in range(7):
        if word not in expected:
            assert count[word] == 0 and chi[word].isnan() and l1[word].isnan()
            continue
        c, n, k = expected[word]
        assert count[word] == k
        torch.testing.assert_close(chi[word].item(), c, rtol=1e-12, atol=2**-50)
        torch.testing.assert_close(l1[word].item(), n, rtol=1e-12, atol=2**-50)


@given(positions, st.randoms())
def test_order_and_grouping_do_not_matter(rows, random):
    shuffled = list(rows)
    random.shuffle(shuffled)
    cut = random.randrange(len(rows))
    parts = [part for part in (shuffled[:cut], shuffled[cut:]) if part]
    assert torch.equal(summed(rows), sum(map(summed, parts)))
