"""The documentation site, which `make docs` builds: every Markdown file that a reader of the repository may follow a link to.

The site is read from the root of the repository, so that links between README.md, docs/ and the files beside them are
those that a reader of the repository follows. Sphinx refuses a link that leads nowhere, also one to a heading.
"""

from pathlib import Path

from docutils import nodes
from sphinx import addnodes

project = "cursorgate"
author = "The authors of cursorgate"
html_title = "cursorgate"

extensions = ["myst_parser"]
root_doc = "docs/index"
include_patterns = [
    "README.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "RELEASING.md",
    "SECURITY.md",
    "benches/README.md",
    "deploy/README.md",
    "examples/clients/README.md",
    "tests/README.md",
    "docs/**",
]
exclude_patterns = ["docs/site/**"]

# Headings have the anchors that they have at GitHub, so that a link with one works in both places.
myst_heading_anchors = 4
# Shortened examples, such as `"AQG-hsma…"`, are no complete programs.
suppress_warnings = ["misc.highlighting_failure"]
# Blocks without a language are commands and what they print.
highlight_language = "text"
nitpicky = True

html_theme = "furo"
# Nothing is loaded from elsewhere, and pages say nothing about their readers.
html_theme_options = {"footer_icons": []}
html_static_path = ["static"]
html_css_files = ["site.css"]
html_favicon = "../../src/admin/page/icon.svg"
# The address of the site itself leads to its front page.
html_extra_path = ["root"]
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
html_last_updated_fmt = None


def keep_anchors(app, document):
    """Gives each heading its anchor of GitHub before Sphinx's own, which writes `cursor_gone` as `cursor-gone`."""
    for section in document.findall(nodes.section):
        slug = section.get("slug")
        if slug and slug not in section["ids"]:
            section["ids"].insert(0, slug)


def name_folders(app, document):
    """Leaves the names of folders, which readers of the repository can open and readers of the site can't."""
    beside = Path(app.env.doc2path(app.env.docname)).parent
    for link in list(document.findall(addnodes.pending_xref)):
        if link["reftarget"] and (beside / link["reftarget"]).is_dir():
            link.replace_self(link.children)


# Code, tables, and paragraphs that are a picture.
FOCUSABLE = {
    "<pre>": '<pre tabindex="0">',
    '<div class="table-wrapper': '<div tabindex="0" class="table-wrapper',
    "<p><img ": '<p tabindex="0" class="picture"><img ',
}


def make_accessible(app, name, template, context, doctree):
    """Lets the keyboard move what is wider than the screen, and says the level of the headings of the navigation."""
    for begins, focusable in FOCUSABLE.items():
        if "body" in context:
            context["body"] = context["body"].replace(begins, focusable)
    if "furo_navigation_tree" in context:
        tree = context["furo_navigation_tree"]
        context["furo_navigation_tree"] = tree.replace('role="heading"', 'role="heading" aria-level="2"')


def setup(app):
    app.connect("doctree-read", keep_anchors)
    app.connect("doctree-read", name_folders)
    # After the theme, which makes the navigation.
    app.connect("html-page-context", make_accessible, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
