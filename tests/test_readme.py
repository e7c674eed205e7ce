"""The README is true: its commands are those that CI runs, and its code runs."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
SNIPPETS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("command", ["pip install . && python main.py", "pip install -e '.[dev]' && pytest"])
def test_names_the_two_commands(command: str) -> None:
    assert command in README


def test_ci_runs_the_readme_s_test_command() -> None:
    """It takes the line from here, so that it cannot drift."""
    assert "README.md" in (ROOT / ".ci" / "run").read_text()


@pytest.mark.parametrize("snippet", SNIPPETS, ids=lambda snippet: snippet.splitlines()[0][:40])
def test_its_code_runs(snippet: str) -> None:
    exec(compile(snippet, "README.md", "exec"), {})


def test_every_link_within_the_project_leads_somewhere() -> None:
    for document in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("examples/*.md")]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name} links to {target}"
