import pytest

from benchmarks.words import word_errors


@pytest.mark.parametrize(
    ("heard", "errors"),
    [
        ("They threw 300 grey cushions!", 0),
        ("they threw three hundred gray cushions", 0),
        ("They threw three hundred cushions.", 1),
        ("They threw three hundred grey cushions away.", 1),
        ("They drew three hundred red cushions.", 2),
        ("", 5),
    ],
)
def test_a_word_counts_once_and_its_spelling_does_not(heard: str, errors: int) -> None:
    assert word_errors("They threw three hundred grey cushions.", heard) == (errors, 5)
