"""Reports: observations as tables, figures and sentences, for notebooks, pages and terminals.

Import what you need from its module; `figure` brings matplotlib along, the others do not.

- `tables`: verdicts, seen addresses, documented and observed, claims
- `figure`: the heat map and its description
- `terminal`: the table and the closing line of the command line
- `grid`, `words`: the arrangement and the wording that all of them share
- `dependence`: whether the node dialled decides
"""
