"""LM256/1's output, a fold of the state's halves, and the lattice attack that made LM256/2 hash the state."""

from chaos_cipher.fold.equations import Leading
from chaos_cipher.fold.errors import FoldError, HintError, LatticeError, NoStateError, TooFewBlocksError
from chaos_cipher.fold.keystream import fold, fold_blocks
from chaos_cipher.fold.lattice import reduce_basis
from chaos_cipher.fold.recover import Recovered, recover

__all__ = [
    "FoldError",
    "HintError",
    "LatticeError",
    "Leading",
    "NoStateError",
    "Recovered",
    "TooFewBlocksError",
    "fold",
    "fold_blocks",
    "recover",
    "reduce_basis",
]
