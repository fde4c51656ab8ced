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


@pytest.mark.parametrize(
    ("said", "heard"), [("the drug store shut", "The drugstore shut."), ("a rosebush", "A rose bush!")]
)
def test_a_compound_may_be_one_word_or_two(said: str, heard: str) -> None:
    assert word_errors(said, heard)[0] == 0
    assert word_errors(said, heard.replace("rose", "nose").replace("drug", "drum"))[0] > 0
