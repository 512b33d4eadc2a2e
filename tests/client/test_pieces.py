"""Long texts in pieces: nothing lost, nothing too long, always the same."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unhurried import pieces

TEXTS = st.text(alphabet="ab .\n\tüé。漢😀", max_size=800)


@given(TEXTS, st.integers(8, 60))
def test_nothing_but_blanks_is_lost(text: str, tokens: int) -> None:
    """
    Without overlap, the pieces hold every character once, in order.
    """
    found = pieces(text, tokens=tokens)

    assert "".join(text.split()) == "".join("".join(found).split())
    assert found == pieces(text, tokens=tokens)


@given(TEXTS, st.integers(8, 60), st.integers(0, 30))
def test_every_piece_fits_and_says_something(text: str, tokens: int, overlap: int) -> None:
    """
    Three bytes count for a token, whatever the script.
    """
    found = pieces(text, tokens=tokens, overlap=min(overlap, tokens // 2))

    assert all(0 < len(piece.encode()) <= tokens * 3 for piece in found)
    assert all(piece == piece.strip() and piece in text for piece in found)


def test_a_cut_is_where_a_reader_would_make_it() -> None:
    """
    After a paragraph, else after a sentence, else after a word.
    """
    paragraphs = f"{'One two three. ' * 3}\n\n{'Four five. ' * 4}"
    sentences = "The first is here. The second one is there."
    words = "many words without any stop between them at all"

    assert 2 == len(pieces(paragraphs, tokens=25))
    assert pieces(paragraphs, tokens=25)[1].startswith("Four")
    assert "The first is here." == pieces(sentences, tokens=10)[0]
    assert all(piece in words.split() or " " in piece for piece in pieces(words, tokens=8))


def test_an_overlap_repeats_the_end_of_the_piece_before() -> None:
    """
    What stands at a cut is understood in one of the two.
    """
    text = " ".join(f"word{number}" for number in range(100))
    found = pieces(text, tokens=30, overlap=10)

    for before, after in pairwise(found):
        assert before.split()[-1] in after.split()
        assert after.split()[0] in before.split()
    assert found[-1].endswith("word99")


def test_a_short_text_is_one_piece() -> None:
    """
    A blank one is none.
    """
    assert (["Hello there."], []) == (pieces("Hello there.\n"), pieces(" \n "))


@pytest.mark.parametrize(("tokens", "overlap"), [(7, 0), (100, -1), (100, 51)])
def test_sizes_that_mean_nothing_are_refused(tokens: int, overlap: int) -> None:
    """
    A piece must be able to move on.
    """
    with pytest.raises(ValueError, match="tokens="):
        pieces("text", tokens=tokens, overlap=overlap)
