"""How Sphinx makes the site; `cargo xtask docs` runs it with the package installed."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "docs" / "_extensions"))

import lupa  # noqa: E402

project = "lupa"
author = "The lupa developers"
version = release = lupa.__version__
html_title = f"lupa {version}"

extensions = ["myst_parser", "lupa_reference"]
exclude_patterns = ["_extensions"]
smartquotes = False  # what is in quotes here is often code
nitpicky = True
# Of Python's own documentation, and a type variable.
nitpick_ignore = [("py:class", "AbstractContextManager"), ("py:class", "_T")]

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["lupa.css"]
html_show_sphinx = False
html_show_copyright = False
html_copy_source = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#1c3f94", "color-brand-content": "#1c5fb0"},
    "dark_css_variables": {"color-brand-primary": "#9db8f2", "color-brand-content": "#9db8f2"},
}

add_module_names = False
highlight_language = "python"
myst_heading_anchors = 3

# Pages that are files of the project itself, and what links between these files become in the site.
PAGES = {
    "README.md": "overview.md",
    "ARCHITECTURE.md": "design.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGES.md": "changes.md",
}
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")


def relink(match):
    """A link as the site has it: to a page, to a picture, or none to a file that only the sources have."""
    image, text, target = match.groups()
    path, hash_sign, anchor = target.partition("#")
    if "://" in target or not path:
        return match.group()
    if path in PAGES:
        return f"[{text}]({PAGES[path]}{hash_sign}{anchor})"
    if path.startswith("docs/"):
        return f"[{text}]({target.removeprefix('docs/')})"
    if image:
        return f"![{text}](../{target})"
    return text if text.startswith("`") else f"`{text}`"


def trim(text):
    """Without the empty line that doctest needs before the end of a block."""
    return text.replace("\n\n```\n", "\n```\n")


def prepare_page(app, docname, content):
    content[0] = trim(content[0])


def prepare_included(app, relative_path, parent_docname, content):
    content[0] = LINK.sub(relink, trim(content[0]))


def setup(app):
    app.connect("source-read", prepare_page)
    app.connect("include-read", prepare_included)
