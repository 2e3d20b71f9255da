"""The documentation site, which `make docs` builds: every Markdown file that other documents of the repository link to.

The site is built from the root of the repository, so that the links between README.md, docs/ and other files are the
same as in the repository. Sphinx refuses links to files or headings that don't exist.
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
    "tests/attacks.md",
    "docs/**",
]
exclude_patterns = ["docs/site/**"]

# Headings have the same anchors as on GitHub, so that links to headings work in both places.
myst_heading_anchors = 4
# Shortened examples, such as `"AQG-hsma…"`, aren't valid programs.
suppress_warnings = ["misc.highlighting_failure"]
# Blocks without a language are commands and their output.
highlight_language = "text"
nitpicky = True

html_theme = "furo"
# Pages load nothing from other sites, and send no data about their readers.
html_theme_options = {"footer_icons": []}
html_static_path = ["static"]
html_css_files = ["site.css"]
html_js_files = ["copy.js"]
# The order of the results of the search.
html_search_scorer = str(Path(__file__).with_name("scorer.js"))
html_favicon = "../../crates/gateway/src/admin/page/icon.svg"
# The address of the site itself redirects to its front page.
html_extra_path = ["root"]
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
html_last_updated_fmt = None


# Pages whose text is on other pages too. The search doesn't find them.
UNSEARCHED = ["README", "CHANGELOG", "RELEASING"]


def keep_out_of_search(app, document):
    if app.env.docname in UNSEARCHED:
        app.env.metadata[app.env.docname]["nosearch"] = True


def keep_anchors(app, document):
    """Puts GitHub's anchor of each heading before Sphinx's own, which writes `cursor_gone` as `cursor-gone`."""
    for section in document.findall(nodes.section):
        slug = section.get("slug")
        if slug and slug not in section["ids"]:
            section["ids"].insert(0, slug)


def name_folders(app, document):
    """Replaces links to folders by the folders' names, because the site has no pages for folders."""
    beside = Path(app.env.doc2path(app.env.docname)).parent
    for link in list(document.findall(addnodes.pending_xref)):
        if link["reftarget"] and (beside / link["reftarget"]).is_dir():
            link.replace_self(link.children)


# The elements that may be wider than the screen: code, tables, and paragraphs with a picture.
FOCUSABLE = {
    "<pre>": '<pre tabindex="0">',
    '<div class="table-wrapper': '<div tabindex="0" class="table-wrapper',
    "<p><img ": '<p tabindex="0" class="picture"><img ',
}


def make_accessible(app, name, template, context, doctree):
    """Makes wide elements scrollable by keyboard, and sets the level of the navigation's headings."""
    for begins, focusable in FOCUSABLE.items():
        if "body" in context:
            context["body"] = context["body"].replace(begins, focusable)
    if "furo_navigation_tree" in context:
        tree = context["furo_navigation_tree"]
        context["furo_navigation_tree"] = tree.replace('role="heading"', 'role="heading" aria-level="2"')


def setup(app):
    app.connect("doctree-read", keep_anchors)
    app.connect("doctree-read", name_folders)
    app.connect("doctree-read", keep_out_of_search)
    # Runs after the theme, which makes the navigation.
    app.connect("html-page-context", make_accessible, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
