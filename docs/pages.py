"""Pages of the documentation that are made from other files, so that nothing is written twice (a hook of MkDocs)."""

from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from audioid.generator.files import ALL, Wanted, kinds_named
from audioid.pipeline.sounds_page import sounds_page

ROOT = Path(__file__).parent.parent
TEXTS = {"README.md": "index.md", "CONTRIBUTING.md": "CONTRIBUTING.md", "CHANGELOG.md": "CHANGELOG.md"}
MAKERS = 4  # of each kind, to see and hear


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the texts at the top of the repository, the generator's sounds, and a page of reference for each package."""
    for source, page in TEXTS.items():
        text = (ROOT / source).read_text(encoding="utf-8").replace("](docs/", "](")
        files.append(File.generated(config, page, content=text))
    sounds = sounds_page(kinds_named([ALL]), Wanted(makers=MAKERS))
    files.append(File.generated(config, "sounds.html", content=sounds))
    package = ROOT / "audioid"
    for folder in [package, *sorted(file.parent for file in package.glob("*/__init__.py"))]:
        files_here = folder.glob("*.py") if folder == package else folder.rglob("*.py")
        modules = [".".join(file.relative_to(ROOT).with_suffix("").parts) for file in sorted(files_here)]
        names = [name.removesuffix(".__init__") for name in modules if not name.endswith(".__main__")]
        text = "\n\n".join([f"# {folder.name}", *(f"::: {name}" for name in names)])
        files.append(File.generated(config, f"reference/{folder.name}.md", content=text))
    return files
