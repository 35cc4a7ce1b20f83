"""The book: run notebooks are rendered, executed, normalised, compared; then the site is built.

The order of the modules is the order of the work: `runs` reads the list, `render` makes
a notebook of a template, `execute` runs it, `normalise` takes out what varies, `compare`
holds it to the committed one, `figures` and `status` derive files from it, `site` builds, once
for each of the `languages`, whose `catalogues` Sphinx reads.
`build` puts them together for `python -m nodeport_lab.book`.
"""
