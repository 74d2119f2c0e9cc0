"""Where numbers come from, and how they are shown: as Markdown, in the terminal and as pictures.

``provenance`` has versions, weights and the machine; ``numbers`` writes estimates with intervals; ``markdown`` and
``terminal`` make tables; ``curves`` draws on ``figures``; ``svg``, ``intervals`` and
``radar`` draw for pages, ``tables`` are written once for all.
"""
