"""How a figure printed to six places is compared, and the bits that property tests draw."""

import numpy as np
import pytest
from hypothesis import strategies as st

from chaos_cipher.quality.bits import Bits


def printed(*values: float, within: float = 6e-7) -> object:
    return pytest.approx(values, abs=within)


def bit_strings(least: int, most: int) -> st.SearchStrategy[Bits]:
    return st.integers(least, most).flatmap(
        lambda count: st.binary(min_size=-(-count // 8), max_size=-(-count // 8)).map(
            lambda drawn: np.unpackbits(np.frombuffer(drawn, dtype=np.uint8), count=count)
        )
    )
