"""Checks the documents: links between files lead somewhere, translations exist, locks carry no addresses."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)")
_HEADING = re.compile(r"^#+\s+(.*?)\s*$", re.MULTILINE)
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
# Pages that a user in China reads first: each has both languages.
_TRANSLATED = ("README.md", "docs/install.md")


def tracked(pattern: str) -> list[Path]:
    """Files of this pattern that git knows or that are new and not ignored."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", pattern]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).exists()]


def anchors(text: str) -> set[str]:
    """The anchors that GitHub makes from headings."""
    found = set()
    for heading in _HEADING.findall(_FENCE.sub("", text)):
        plain = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        found.add(re.sub(r"[^\w\- ]", "", plain).replace(" ", "-"))
    return found


def broken_links(page: Path) -> list[str]:
    """Relative links of one page that lead nowhere."""
    faults = []
    for target in _LINK.findall(_FENCE.sub("", page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        goal = (page.parent / name).resolve() if name else page
        if not goal.exists():
            faults.append(f"{page.relative_to(ROOT)}: {target} does not exist")
        elif anchor and goal.suffix == ".md" and anchor not in anchors(goal.read_text(encoding="utf-8")):
            faults.append(f"{page.relative_to(ROOT)}: {target}: no such heading")
    return faults


def addresses_in_locks() -> list[str]:
    """Lines of requirement files that name a place instead of a version."""
    return [
        f"{file.relative_to(ROOT)}:{number}: a lock carries no addresses and no options: {line.strip()}"
        for file in sorted((ROOT / "requirements").glob("*.txt"))
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        if "://" in line or re.match(r"\s*-(?!-hash=)", line) or " @ " in line
    ]


def missing_translations() -> list[str]:
    """Pages that must exist in English and in Chinese."""
    names = [name for page in _TRANSLATED for name in (page, page.replace(".md", ".zh-CN.md"))]
    return [f"{name} is missing" for name in names if not (ROOT / name).exists()]


def main() -> int:
    """Print every fault; the exit status says whether there was one."""
    faults = addresses_in_locks() + missing_translations()
    pages = tracked("*.md")
    for page in pages:
        faults += broken_links(page)
    for fault in faults:
        print(fault, file=sys.stderr)
    print(f"documents: {len(pages)} pages, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
