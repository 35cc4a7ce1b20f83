"""What the code imports is what pyproject.toml declares."""

import ast
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from nodeport_lab.locations import repository_root

ROOT = repository_root()
OWN = {"nodeport_lab", "_typeshed"}


class Imports(ast.NodeVisitor):
    """Collects the top-level names that a module imports when it runs."""

    def __init__(self) -> None:
        """Start with none."""
        self.names: set[str] = set()

    def visit_If(self, node: ast.If) -> None:
        """Pass over what only a type checker reads."""
        if "TYPE_CHECKING" not in ast.unparse(node.test):
            self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> None:
        """Take `import a.b` as a."""
        self.names |= {alias.name.partition(".")[0] for alias in node.names}

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        """Take `from a.b import c` as a."""
        if node.module and not node.level:
            self.names.add(node.module.partition(".")[0])


def imported(files: Iterator[Path]) -> set[str]:
    """Names of the distributions that some Python files import."""
    collected = Imports()
    for file in files:
        collected.visit(ast.parse(file.read_text(), str(file)))
    foreign = collected.names - set(sys.stdlib_module_names) - OWN
    providers = packages_distributions()
    return {canonicalize_name(name) for top in foreign for name in providers.get(top, [top])}


def declared(*, development: bool) -> set[str]:
    """Names that pyproject.toml declares, with or without those for development."""
    metadata = tomllib.loads((ROOT / "pyproject.toml").read_text())
    texts = list(metadata["project"]["dependencies"])
    if development:
        texts += [text for group in metadata["dependency-groups"].values() for text in group]
    return {canonicalize_name(Requirement(text).name) for text in texts}


def test_the_package_imports_only_what_it_declares() -> None:
    """An installed wheel finds everything that it imports."""
    assert set() == imported((ROOT / "src").rglob("*.py")) - declared(development=False)


def test_tests_and_benchmarks_import_only_what_the_project_declares() -> None:
    """`make setup` brings all that tests and benchmarks import."""
    files = (file for folder in ("tests", "benchmarks") for file in (ROOT / folder).rglob("*.py"))
    own = {path.parent.name for path in (ROOT / "tests").glob("*/__init__.py")}
    assert set() == imported(files) - declared(development=True) - own
