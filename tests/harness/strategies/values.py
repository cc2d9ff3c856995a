"""Numbers: families from simple to wild, drawn densely, the same for every dtype.

An array is drawn as random 64-bit words. What number a word stands for depends on the family and,
for the wild families, on the range of the dtype; so one drawn array serves every dtype, with all
the digits that the dtype has.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from hashlib import shake_128

import numpy as np
from hypothesis import strategies as st

from tests.harness.formats import Format

WORDS_DRAWN = 16  # the others follow from these; from a zero, zeros, so that they shrink alike

DICE = 8  # bytes that decide whether there are special values, how many, which and where

Family = Callable[[np.ndarray, Format], np.ndarray]


def integers(words: np.ndarray, fmt: Format) -> np.ndarray:
    """-8 to 8: sums of their products are exact in every dtype, to some size."""
    return zigzag(words, 17)


def dyadic(words: np.ndarray, fmt: Format) -> np.ndarray:
    """Multiples of 1/16 between -4 and 4: exact as well, and not whole."""
    return zigzag(words, 127) / 16


def uniform(words: np.ndarray, fmt: Format) -> np.ndarray:
    """Between -4 and 4, with every digit."""
    return sign(words) * fraction(words) * 4


def offset(words: np.ndarray, fmt: Format) -> np.ndarray:
    """Near 1000, within 4: what is subtracted from its like loses three digits."""
    return 1000 + uniform(words, fmt)


def plateau(words: np.ndarray, fmt: Format) -> np.ndarray:
    """1024 and what is up to 8 units in the last place away: all mean and no variance."""
    return 1024 + np.ldexp(zigzag(words, 17), 11 - fmt.precision)


def wide(words: np.ndarray, fmt: Format) -> np.ndarray:
    """Over half the orders of magnitude that products of two can have."""
    exponent = zigzag(words >> np.uint64(1), fmt.max_exponent // 2)
    return sign(words) * np.ldexp(1 + fraction(words), exponent.astype(int))


def extreme(words: np.ndarray, fmt: Format) -> np.ndarray:
    """Of any size at all, subnormal numbers included."""
    exponent = zigzag(words >> np.uint64(1), 2 * (fmt.max_exponent + fmt.precision) + 1)
    clipped = np.clip(exponent, fmt.last_bit, fmt.max_exponent - 1)
    return sign(words) * np.ldexp(1 + fraction(words), clipped.astype(int))


def zigzag(words: np.ndarray, count: int) -> np.ndarray:
    """The integers 0, -1, 1, -2, 2, ... (`count` of them), by the words' last digits."""
    return zigzags(count)[words % np.uint64(count)]


@cache
def zigzags(count: int) -> np.ndarray:
    digits = np.arange(count)
    return np.where(digits % 2 == 1, -(digits + 1) / 2, digits / 2)


def sign(words: np.ndarray) -> np.ndarray:
    return np.where(words & np.uint64(1), -1.0, 1.0)


def fraction(words: np.ndarray) -> np.ndarray:
    """In [0, 1), by the words' leading 53 bits."""
    return (words >> np.uint64(11)) / 2.0**53


FAMILIES: dict[str, Family] = {
    f.__name__: f for f in (integers, dyadic, uniform, offset, plateau, wide, extreme)
}

SPECIALS: dict[str, Callable[[Format], float]] = {
    "zero": lambda fmt: 0.0,
    "negative zero": lambda fmt: -0.0,
    "smallest": lambda fmt: 2.0**fmt.last_bit,
    "largest": lambda fmt: fmt.max,
    "infinity": lambda fmt: np.inf,
    "negative infinity": lambda fmt: -np.inf,
    "nan": lambda fmt: np.nan,
}


@dataclass(frozen=True)
class Values:
    """The numbers of one array, before it has a dtype."""

    size: int
    family: str
    words: bytes
    specials: tuple[tuple[int, str], ...] = ()  # (position, kind)

    def numbers(self, fmt: Format) -> np.ndarray:
        """The numbers that a dtype makes of the words, (size,), in float64."""
        numbers = fmt.round(FAMILIES[self.family](all_words(self.words, self.size), fmt))
        for position, kind in self.specials if self.size else ():
            numbers[position % self.size] = SPECIALS[kind](fmt)
        return numbers


@lru_cache(maxsize=64)  # every dtype makes its own numbers of the same words
def all_words(drawn: bytes, size: int) -> np.ndarray:
    words = np.resize(np.frombuffer(drawn, ">u8").astype(np.uint64), size)
    if size > WORDS_DRAWN:
        others = np.frombuffer(shake_128(drawn).digest(8 * (size - WORDS_DRAWN)), "<u8")
        words[WORDS_DRAWN:] = np.where(words[WORDS_DRAWN:] == 0, 0, others)
    return words


families = st.sampled_from(
    ("integers", "dyadic", "uniform", "wide", "offset", "integers", "uniform", "wide", "extreme")
)
"""Mostly tame, simple first. Where extreme numbers meet in a sum, it may overflow, and then
anything goes: they are for the operations that sum nothing, and rare."""


@cache
def block(length: int) -> st.SearchStrategy[bytes]:
    """So many bytes in one draw; draws are what a case costs."""
    return st.binary(min_size=length, max_size=length)


def block_of(size: int, special: float) -> int:
    """The bytes that the numbers of an array take: `DICE`, and eight for each word drawn."""
    return DICE * (special > 0) + 8 * min(size, WORDS_DRAWN)


def values_of(drawn: bytes, size: int, family: str, special: float) -> Values:
    """What numbers the bytes stand for. Of fewer numbers, they are the first."""
    dice, words = (drawn[:DICE], drawn[DICE:]) if special > 0 else (b"", drawn)
    return Values(size, family, words, specials_of(dice, special))


def specials_of(dice: bytes, special: float) -> tuple[tuple[int, str], ...]:
    """In a share `special` of the arrays one to three special values, and where.

    Half of them are the last number, which no full vector register holds.
    """
    if not dice or dice[0] < 256 * (1 - special):
        return ()
    among = list(zip(dice[2::2], dice[3::2], strict=True))[: 1 + dice[1] % 3]
    kinds = tuple(SPECIALS)
    return tuple((-1 if at < 128 else at % 64, kinds[kind % len(kinds)]) for at, kind in among)


def values(size: int, family: str, special: float) -> st.SearchStrategy[Values]:
    """`size` numbers of a family; a share `special` of the arrays has special ones among them."""
    return block(block_of(size, special)).map(lambda drawn: values_of(drawn, size, family, special))
