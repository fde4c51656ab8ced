"""What the README promises is true: its Python runs, its commands exist, its links lead somewhere."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands import run
from tests.test_cli import all_commands

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


@pytest.mark.slow
def test_the_python_example_runs(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    (tmp_path / "rtc_voice").symlink_to(ROOT / "rtc_voice")
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert re.match(r"\d+ Hz", done.stdout)
    assert (tmp_path / "hello.wav").stat().st_size > 50_000


def test_every_make_target_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:`|^)make ([a-z]+)", README, re.MULTILINE))
    assert {"demo", "test", "check", "bench"} <= named <= targets


@pytest.mark.slow
def test_every_command_exists() -> None:
    help = subprocess.run([sys.executable, "-m", "rtc_voice", "--help"], capture_output=True, text=True, check=True)
    for command in set(re.findall(r"rtc-voice ([a-z]+)", README)):
        assert command in help.stdout


def test_every_link_and_module_is_there() -> None:
    for target in re.findall(r"\]\(([^)#][^)]*)\)", README):
        assert (ROOT / target).exists(), target
    rows = re.findall(r"^\| `(rtc_voice/[a-z]+)/` \| .*?: (.*) \|$", README, re.MULTILINE)
    assert len(rows) >= 5
    for folder, text in rows:
        for module in re.findall(r"`([a-z_/]+)`", text):
            assert (ROOT / folder / f"{module}.py").exists(), f"{folder}/{module}"


def test_the_figures_are_generated() -> None:
    from benchmarks.all import budget, figures

    assert figures() in README
    assert budget() in (ROOT / "docs/architecture.md").read_text()


@pytest.mark.parametrize("page", sorted(ROOT.glob("docs/*.md")), ids=lambda page: page.stem)
def test_what_a_page_of_the_docs_names_is_there(page: Path) -> None:
    text = page.read_text()
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
        assert (page.parent / target).exists(), target
    known = {words[0] if words[0] != "train" else " ".join(words) for words in all_commands()}
    for command in re.findall(r"rtc-voice ((?:train )?[a-z-]+)\b(?! is| has)", text):
        assert command in known, command


def test_every_option_that_the_docs_name_exists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    help = "".join(run(*command, "--help").stdout for command in [[], *all_commands()])
    for page in [ROOT / "README.md", *ROOT.glob("docs/*.md")]:
        for line in page.read_text().splitlines():
            if "rtc-voice" in line and not line.startswith(("docker", "|")):
                for option in re.findall(r" (--[a-z-]+)", line.partition("rtc-voice")[2]):
                    assert option in help, f"{page.name}: {option}"
