"""The tab "Tuning" in TensorBoard.

A package of its own, of the standard library and TensorBoard only: every start of TensorBoard imports it, and an
import of kt_suite that fails must not keep TensorBoard from starting.

- ``loader``: what TensorBoard calls; hands in nothing where the plugin cannot work.
- ``plugin``: the routes.
- ``logs``: which searches a log directory holds, and where their ``search.db`` lies.
- ``search_file``: a ``search.db``, read as far as it has changed.
- ``figures``: the views of a search as Plotly figures, plain data; the report draws the same.
- ``static``: the page.
- ``bundle``: the page and all its data in one file, for ``kt-suite report``.
"""
