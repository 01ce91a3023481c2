"""The driver's own Decimal128 is the judge of ours."""

from __future__ import annotations

from decimal import Decimal, Inexact, Overflow

from bson.decimal128 import Decimal128
from hypothesis import example, given
from hypothesis import strategies as st

from writer.mapping.bson_values import decimal128


@given(
    st.builds(
        lambda sign, digits, exponent: Decimal((sign, tuple(digits), exponent)),
        st.integers(0, 1),
        st.lists(st.integers(0, 9), min_size=1, max_size=36),
        st.one_of(st.integers(-170, 130), st.integers(-6200, 6200)),
    )
)
@example(Decimal("-0"))
@example(Decimal("0E+6200"))
@example(Decimal("1E+6144"))
@example(Decimal("9" * 34))
@example(Decimal("-" + "9" * 34 + "E-6176"))
@example(Decimal("1E-6177"))
def test_same_bits_as_the_driver(number: Decimal) -> None:
    """A Decimal128 is the one that the driver makes, and none where the driver refuses."""
    ours = decimal128(number)
    try:
        theirs = Decimal128(number)
    except (Inexact, Overflow):
        assert ours is None
    else:
        assert ours == theirs
