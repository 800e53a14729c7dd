"""From text to batches of token ids: readers, tokenizers, encoded corpora, batch plans.

Import from the modules; `textvae.data.opening` imports no heavy library.
"""
