"""Text in, batches of token ids out: readers, tokenizers, encoded corpora, batch plans.

Import from the modules: `textvae.data.readers` needs none of the heavy libraries.
"""
