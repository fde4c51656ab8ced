from benchmarks.form import markdown


def test_intervals_stand_behind_their_figures_and_notes_below_the_table() -> None:
    rows = [{"name": "one", "wer": 0.125, "wer_ci95": [0.1, 0.15]}, {"name": "two", "n": 3}]
    result = {"title": "T", "machine": "M", "torch": "1", "commit": "c", "rows": rows, "notes": ["What wer is."]}
    lines = markdown(result).splitlines()
    assert "| name | wer | n |" in lines
    assert "| one | 0.125 [0.1, 0.15] |  |" in lines
    assert "| two |  | 3 |" in lines
    assert lines[-1] == "What wer is."
