"""Programs against automatic differentiation, on the same work, side by side: ``python -m benchmarks``.

- cases: the models, and their sizes
- layouts: how peers keep the same weights
- peers_torch: the models as their users write them in torch, and its reverse mode
- peers_jax: the same in jax
- entrants: programs and peers, as functions without arguments that give the loss and every gradient
- memory: the peak of memory of a run
- timing: entrants that take turns; the peak of the machine's matrix products
- worker: all of this with one number of threads, in a process of its own
- depth: the time to derive, to compile and to count words, against the number of layers
- measurement: what was measured, and how processes tell it
- tables: what was measured, as text and as Markdown
- pages: tables between two marks of a page, such as the README
- machine: the machine in one line
"""
