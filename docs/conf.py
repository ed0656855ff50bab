"""Sphinx reads this: ``python -m sphinx -W --keep-going -b html docs build/docs``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

import spacy_elmo

project = "spacy-elmo"
author = "The spacy-elmo developers"
copyright = author
version = release = spacy_elmo.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "docstrings", "command_help", "settings"]
exclude_patterns = ["_ext", "_static"]
smartquotes_action = "D"  # dashes; quotes are those of values

# Markdown
myst_enable_extensions = ["deflist", "fieldlist"]
myst_heading_anchors = 3
suppress_warnings = ["myst.header"]  # included files begin where their page has come to

# Docstrings
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_class_signature = "mixed"
python_use_unqualified_type_names = True
python_display_short_literal_types = True
python_maximum_signature_line_length = 88
add_module_names = False

# Pages
html_theme = "furo"
html_title = "spacy-elmo"
html_static_path = ["_static"]
html_css_files = ["tables.css"]
html_show_sphinx = False
html_copy_source = False
html_theme_options = {"navigation_with_keys": True}
pygments_style = "default"

# Pages of others come and go; those of this site have to be there (``-b linkcheck``).
linkcheck_ignore = [r"https?://"]
